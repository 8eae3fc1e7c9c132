"""The ranges of the activations of an ONNX file over real inputs, in memory that does not grow with them.

The file itself is run with a few small outputs more, of which each is a summary of one tensor: no whole activation
leaves the runtime.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np

from lightsam.errors import UsageError
from lightsam.stages import Arrays

_SAMPLED = 4096
"""Values of a tensor that are looked at in one run; all count for its extremes."""
_OPEN = 64
"""Size that an axis left open is taken with, when values are sampled."""
_SHARES = np.linspace(0.2, 1.0, 17)
"""Of an extreme, at which a range may end."""
_ROUNDS = 2
"""Of the search, which moves one end at a time."""
STEPS = 255
"""Between the lowest and the highest of eight bits."""
_LARGEST = 2**63 - 1


def find_ranges(
    path: Path,
    shapes: Mapping[str, tuple[int | None, ...]],
    names: Sequence[str],
    inputs: Callable[[], Iterator[Arrays]],
) -> dict[str, tuple[float, float]]:
    """Where to clip each tensor so that eight bits, evenly spaced, lose least.

    The extremes of maps lie far out (30 to 50 standard deviations where this was measured): a range up to them wastes
    most of its steps, and cutting at any fixed share of the values cuts some tensors too much. Tensors of prompts,
    which have an open axis, are not clipped: what a token says is said by a few large values, and cutting them costs
    20 dB in SAM's decoder.

    Args:
        path: of the float file.
        shapes: of its tensors.
        names: of those that are wanted.
        inputs: of the stage, anew for every call.

    Returns:
        The lowest and the highest value of each, zero always between them.

    Raises:
        UsageError: if there are no inputs.
    """
    lows = dict.fromkeys(names, 0.0)
    highs = dict.fromkeys(names, 0.0)
    samples: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for found in _summaries(path, shapes, names, inputs()):
        for name, (low, high, some) in found.items():
            lows[name], highs[name] = min(lows[name], low), max(highs[name], high)
            samples[name].append(some)
    if not samples[names[0]]:
        raise UsageError("there is no image to calibrate on: give a folder with one, at least")
    return {
        name: (lows[name], highs[name])
        if None in shapes[name]
        else _clipped(np.concatenate(samples[name]), lows[name], highs[name])
        for name in names
    }


def _summaries(
    path: Path,
    shapes: Mapping[str, tuple[int | None, ...]],
    names: Sequence[str],
    inputs: Iterable[Arrays],
) -> Iterator[dict[str, tuple[float, float, np.ndarray]]]:
    """Lowest, highest and some values of every tensor, for each of the inputs."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3  # errors alone
    beside = path.with_name(f"{path.name}.ranges")  # where weights that lie outside of the file are found, too
    try:
        beside.write_bytes(_with_summaries(path, shapes, names))
        session = onnxruntime.InferenceSession(str(beside), settings, providers=["CPUExecutionProvider"])
    finally:
        beside.unlink(missing_ok=True)
    wanted = [f"{name}/{what}" for name in names for what in _SUMMARY]
    for given in inputs:
        values = iter(session.run(wanted, {name: np.ascontiguousarray(one, np.float32) for name, one in given.items()}))
        yield {name: (float(next(values)), float(next(values)), next(values)) for name in names}


_SUMMARY = ("low", "high", "some")


def _with_summaries(path: Path, shapes: Mapping[str, tuple[int | None, ...]], names: Sequence[str]) -> bytes:
    """The float file with summaries of some of its tensors as outputs."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    graph = model.graph
    of = onnx.numpy_helper.from_array
    fixed = {"all/whole": [-1], "all/begin": [0], "all/end": [_LARGEST]}
    graph.initializer.extend(of(np.array(values, np.int64), name) for name, values in fixed.items())
    for name in names:
        size = prod(side or _OPEN for side in shapes[name])
        # Odd, so that samples fall on every column of maps whose sides are powers of two.
        step = max(1, size // _SAMPLED) | 1
        graph.initializer.append(of(np.array([step], np.int64), f"{name}/step"))
        flat = f"{name}/flat"
        graph.node.extend(
            (
                onnx.helper.make_node("Reshape", [name, "all/whole"], [flat]),
                onnx.helper.make_node("ReduceMin", [flat], [f"{name}/low"], keepdims=0),
                onnx.helper.make_node("ReduceMax", [flat], [f"{name}/high"], keepdims=0),
                onnx.helper.make_node(
                    "Slice", [flat, "all/begin", "all/end", "all/begin", f"{name}/step"], [f"{name}/some"]
                ),
            )
        )
        graph.output.extend(onnx.ValueInfoProto(name=f"{name}/{what}") for what in _SUMMARY)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _clipped(values: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The range, of those inside ``low..high``, under which the values have the smallest squared error."""
    values = values.astype(np.float64)

    def error(ends: tuple[float, float]) -> float:
        begin, end = ends
        step = (end - begin) / STEPS or 1.0
        zero = np.rint(-begin / step)
        found = (np.clip(np.rint(values / step) + zero, 0, STEPS) - zero) * step
        return float(np.square(found - values).mean())

    begin, end = low, high
    for _ in range(_ROUNDS):
        begin = min((low * share for share in _SHARES), key=lambda one: error((one, end)))
        end = min((high * share for share in _SHARES), key=lambda one: error((begin, one)))
    return begin, end
