"""A reference evaluator of Core ML's ML Programs, on torch, on any system.

Core ML itself runs on Apple's systems alone; its converter promises no more than serialisation elsewhere. The
evaluator reads the *saved* package (specification and weight file) and computes what it says, which proves the file:
its graph, its weights, its names and shapes, and what float16 does to it. It does not prove a device's kernels.
"""

from .evaluator import NUMERICS, Evaluator, EvaluatorError, Numerics, UnknownOpError

__all__ = ["NUMERICS", "Evaluator", "EvaluatorError", "Numerics", "UnknownOpError"]
