"""Another CPU, as far as this one can play it: `make test-other-cpu`.

What adds in another order gives other roundings, which is what a test meets on somebody else's machine. torch, oneDNN,
MKL and OpenBLAS take an older instruction set by environment variables, which the make target sets. LiteRT and ONNX
Runtime have none (ONNX Runtime 1.31 asks the CPU itself), so they run other kernels here: LiteRT without XNNPACK, ONNX
Runtime without fusing operations; and torch runs on two threads.
"""

import ai_edge_litert.interpreter
import onnxruntime
import torch


class _WithoutXnnpack(ai_edge_litert.interpreter.Interpreter):
    def __init__(self, *arguments, **options):
        kernels = ai_edge_litert.interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        super().__init__(*arguments, **{"experimental_op_resolver_type": kernels, **options})


class _Unfused(onnxruntime.SessionOptions):
    def __init__(self):
        super().__init__()
        self.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL


def use() -> None:
    """Everything that is loaded from now on in this process runs on them."""
    ai_edge_litert.interpreter.Interpreter = _WithoutXnnpack
    onnxruntime.SessionOptions = _Unfused
    torch.set_num_threads(2)
