"""How large the inputs of layers become: real images are run through a float package, and every layer is looked at.

Done here because coremltools runs packages on macOS alone, and calibrates on the last image only
(https://github.com/apple/coremltools/pull/2724).
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from lightsam.errors import UsageError
from lightsam.stages import Arrays

from .compress import LEAST, layer_inputs
from .evaluator import Evaluator

_KEPT_SHARE = 0.9999
"""Of an activation's values, the share that its range covers: what lies beyond is clipped, and the rest gets finer
steps. One value in ten thousand is an outlier or two a channel."""


def layer_ranges(package: Path, inputs: Iterable[Arrays]) -> dict[str, float]:
    """The magnitude that is enough for the inputs of every layer with a weight that is worth compressing, by name.

    Args:
        package: of floats.
        inputs: of real images and prompts, by name.

    Raises:
        ContractError: if the package is damaged.
        UsageError: if there is no image.
    """
    evaluator = Evaluator(package, "float32")
    layers = layer_inputs(
        evaluator.program.function, lambda weight: weight.val is not None and weight.val.size >= LEAST
    )
    wanted = {op.inputs["x"].name for op in layers}
    found: dict[str, list[float]] = defaultdict(list)

    def observe(_: str, name: str, result: torch.Tensor) -> None:
        if name in wanted:
            values = result.abs().flatten()
            beyond = max(1, round((1 - _KEPT_SHARE) * len(values)))
            found[name].append(float(values.topk(beyond).values[-1]))

    for given in inputs:
        evaluator({name: np.asarray(array, np.float32) for name, array in given.items()}, observe)
    if not found:
        raise UsageError("activations are calibrated on images, and there are none")
    # The largest of all images: a clipped object in one is worse than coarser steps in the others.
    return {name: max(largest) for name, largest in found.items() if max(largest) > 0}
