"""Every operation of the evaluator, against coremltools' own value inference or, where it has none, against torch."""

import numpy as np
import pytest
import torch
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Function
from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry
from torch.nn import functional as F

from lightsam_exporters.formats.mil.registry import OPERATIONS, UnsupportedConfigurationError

RNG = np.random.default_rng(0)


def floats(*shape: int, low: float = -2, high: float = 2) -> np.ndarray:
    return RNG.uniform(low, high, shape).astype(np.float32)


X = floats(2, 3, 4)
POSITIVE = floats(2, 3, 4, low=0.1)
BOOLS = X > 0
INTS = np.array([[5, -7, 3], [9, 2, -1]], np.int32)
QUANTIZE_SCALES = np.array([0.01, 0.05, 0.02], np.float32).reshape(3, 1)
"""A scale a channel, along the middle axis of X."""

# Operations whose semantics coremltools itself can compute: (operation, parameters).
INFERRED = [
    *[(name, {"x": X}) for name in ("abs", "ceil", "cos", "erf", "exp", "exp2", "floor", "relu", "relu6", "round")],
    *[(name, {"x": X}) for name in ("sigmoid", "sign", "sin", "softplus", "softsign", "square", "tanh", "identity")],
    *[(name, {"x": POSITIVE}) for name in ("sqrt", "log")],
    ("rsqrt", {"x": POSITIVE, "epsilon": 0.3}),
    ("inverse", {"x": POSITIVE, "epsilon": 0.3}),
    ("log", {"x": POSITIVE, "epsilon": 0.3}),
    ("clip", {"x": X, "alpha": -0.5, "beta": 1.0}),
    ("leaky_relu", {"x": X, "alpha": 0.3}),
    ("elu", {"x": X, "alpha": 0.3}),
    ("sigmoid_hard", {"x": X, "alpha": 0.3, "beta": 0.4}),
    *[("gelu", {"x": X, "mode": mode}) for mode in ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION")],
    ("logical_not", {"x": BOOLS}),
    *[(name, {"x": BOOLS, "y": ~BOOLS[:1]}) for name in ("logical_and", "logical_or", "logical_xor")],
    *[(name, {"x": X, "y": floats(3, 1)}) for name in ("add", "sub", "mul", "real_div", "maximum", "minimum")],
    *[(name, {"x": INTS, "y": np.int32(3)}) for name in ("floor_div", "mod", "real_div", "add", "mul")],
    *[
        (name, {"x": INTS, "y": INTS[:1]})
        for name in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
    ],
    ("pow", {"x": POSITIVE, "y": np.float32(1.5)}),
    ("select", {"cond": BOOLS, "a": X, "b": POSITIVE}),
    *[("cast", {"x": X * 3, "dtype": dtype}) for dtype in ("int32", "bool", "fp32")],
    ("cast", {"x": BOOLS, "dtype": "fp32"}),
    ("reshape", {"x": X, "shape": np.array([4, -1], np.int32)}),
    ("reshape", {"x": X, "shape": np.array([0, -1, 2], np.int32)}),
    ("transpose", {"x": X, "perm": np.array([2, 0, 1], np.int32)}),
    ("transpose", {"x": X, "perm": np.array([0, -1, -2], np.int32)}),
    ("expand_dims", {"x": X, "axes": np.array([0, -1], np.int32)}),
    ("squeeze", {"x": X[:1], "axes": np.array([0], np.int32)}),
    ("squeeze", {"x": X[:1, :1]}),
    ("concat", {"values": (X, POSITIVE), "axis": -1}),
    ("stack", {"values": (X, POSITIVE), "axis": 1}),
    ("split", {"x": X, "axis": 2, "num_splits": 2}),
    ("split", {"x": X, "axis": -1, "split_sizes": np.array([1, 3], np.int32)}),
    ("tile", {"x": X, "reps": np.array([1, 2, 3], np.int32)}),
    ("slice_by_index", {"x": X, "begin": [0, 1, 0], "end": [2, 3, 3]}),
    ("slice_by_index", {"x": X, "begin": [0, 0, 3], "end": [2, 3, 0], "stride": [1, 2, -1]}),
    ("slice_by_index", {"x": X, "begin": [1, 0, -2], "end": [2, 0, 0], "end_mask": [False, True, True]}),
    ("slice_by_index", {"x": X, "begin": [0, 1, 1], "end": [2, 2, 4], "squeeze_mask": [False, True, False]}),
    (
        "slice_by_index",
        {
            "x": X,
            "begin": [0, 0, 0],
            "end": [0, 0, 0],
            "begin_mask": [True] * 3,
            "end_mask": [True] * 3,
            "stride": [1, -1, 2],
        },
    ),
    ("slice_by_size", {"x": X, "begin": np.array([0, 1, 2], np.int32), "size": np.array([2, 2, -1], np.int32)}),
    ("pad", {"x": X, "pad": np.array([1, 2, 0, 3], np.int32), "mode": "constant", "constant_val": np.float32(7)}),
    ("pad", {"x": X, "pad": np.array([1, 2, 0, 3], np.int32), "mode": "reflect"}),
    ("pad", {"x": X, "pad": np.array([1, 2, 0, 3], np.int32), "mode": "replicate"}),
    ("gather", {"x": X, "indices": np.array([[2, 0], [1, 1]], np.int32), "axis": 1}),
    ("gather", {"x": X, "indices": np.array([-1, 0], np.int32), "axis": -1}),
    ("fill", {"shape": np.array([2, 3], np.int32), "value": np.float32(4.5)}),
    ("shape", {"x": X}),
    ("softmax", {"x": X, "axis": 1}),
    ("matmul", {"x": X, "y": floats(2, 5, 4), "transpose_x": False, "transpose_y": True}),
    ("matmul", {"x": X, "y": floats(2, 3, 5), "transpose_x": True, "transpose_y": False}),
    ("linear", {"x": X, "weight": floats(5, 4), "bias": floats(5)}),
    ("einsum", {"values": (floats(1, 2, 3, 4), floats(1, 4, 3, 5)), "equation": "nchw,nwhu->nchu"}),
    *[
        (name, {"x": POSITIVE, "axes": np.array(axes, np.int32), "keep_dims": keep})
        for name in (
            "reduce_max", "reduce_mean", "reduce_min", "reduce_sum",
            "reduce_l1_norm", "reduce_l2_norm", "reduce_sum_square", "reduce_log_sum_exp",
        )
        for axes, keep in (([1], True), ([0, -1], False))
    ],
]  # fmt: skip


def python_values(parameters: dict) -> dict:
    """As the evaluator hands them to an operation."""

    def convert(value):
        if isinstance(value, tuple):
            return [convert(element) for element in value]
        array = np.asarray(value)
        if isinstance(value, str | bool | list) or array.dtype.kind in "US":
            return value
        return torch.from_numpy(np.array(array, np.float32)) if array.dtype.kind == "f" else array.tolist()

    return {name: convert(value) for name, value in parameters.items()}


def infer(name: str, parameters: dict):
    """What coremltools says that the operation gives for constants."""
    constants = {
        key: np.array(v, bool) if isinstance(v, list) and isinstance(v[0], bool) else v for key, v in parameters.items()
    }
    with Function({}):
        outputs = getattr(mb, name)(**constants)
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    return [output.val for output in outputs]


@pytest.mark.parametrize(("name", "parameters"), INFERRED, ids=[f"{i}-{case[0]}" for i, case in enumerate(INFERRED)])
def test_operation_gives_what_coremltools_infers(name, parameters):
    expected = infer(name, parameters)
    assert all(value is not None for value in expected), "coremltools infers no value: test it against torch"
    found = OPERATIONS[name](**python_values(parameters))
    found = found if isinstance(found, tuple) else (found,)
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        theirs = np.asarray(theirs)
        assert tuple(mine.shape) == theirs.shape
        np.testing.assert_allclose(mine.numpy(), theirs, rtol=2e-6, atol=1e-6)


T = torch.from_numpy
IMAGE, KERNEL, BIAS = floats(2, 4, 7, 6), floats(6, 2, 3, 3), floats(6)
GAMMA, BETA, MEAN, VARIANCE = floats(4), floats(4), floats(4), floats(4, low=0.5)


def same_padding(x: torch.Tensor, before: int, after: int) -> torch.Tensor:
    return F.pad(x, (before, after, before, after))


# Operations without value inference: (operation, parameters, what torch gives).
AGAINST_TORCH = [
    ("silu", {"x": X}, lambda: T(X) * torch.sigmoid(T(X))),
    (
        "conv",
        {"x": IMAGE, "weight": KERNEL, "bias": BIAS, "strides": [2, 1], "pad_type": "custom", "pad": [1, 0, 2, 1],
         "dilations": [1, 2], "groups": 2},
        lambda: F.conv2d(F.pad(T(IMAGE), (2, 1, 1, 0)), T(KERNEL), T(BIAS), (2, 1), 0, (1, 2), 2),
    ),
    ("conv", {"x": IMAGE, "weight": KERNEL, "groups": 2, "pad_type": "valid"}, lambda: F.conv2d(T(IMAGE), T(KERNEL), groups=2)),
    (
        "conv",
        {"x": IMAGE[..., :6, :], "weight": KERNEL[:, :, :2, :2], "groups": 2, "pad_type": "same"},
        lambda: F.conv2d(same_padding(T(IMAGE[..., :6, :]), 0, 1), T(KERNEL[:, :, :2, :2]), groups=2),
    ),
    (
        "conv",
        {"x": IMAGE[..., :6, :], "weight": KERNEL[:, :, :2, :2], "groups": 2, "pad_type": "same_lower"},
        lambda: F.conv2d(same_padding(T(IMAGE[..., :6, :]), 1, 0), T(KERNEL[:, :, :2, :2]), groups=2),
    ),
    (
        "conv",
        {"x": IMAGE[:, :, 0], "weight": KERNEL[:, :, 0], "groups": 2, "strides": [2]},
        lambda: F.conv1d(T(IMAGE[:, :, 0]), T(KERNEL[:, :, 0]), stride=2, groups=2),
    ),
    (
        "conv_transpose",
        {"x": IMAGE, "weight": KERNEL[:4], "bias": BIAS[:2], "strides": [2, 2]},
        lambda: F.conv_transpose2d(T(IMAGE), T(KERNEL[:4]), T(BIAS[:2]), 2),
    ),
    (
        "conv_transpose",
        {"x": IMAGE, "weight": KERNEL[:4], "bias": BIAS[:2], "strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 1, 1],
         "output_shape": [2, 2, 14, 12]},
        lambda: F.conv_transpose2d(T(IMAGE), T(KERNEL[:4]), T(BIAS[:2]), 2, padding=1, output_padding=1),
    ),
    (
        "conv_transpose",
        {"x": IMAGE, "weight": KERNEL[:4], "strides": [2, 2], "pad_type": "same"},
        lambda: F.conv_transpose2d(T(IMAGE), T(KERNEL[:4]), None, 2)[..., 0:14, 0:12],
    ),
    (
        "conv_transpose",
        {"x": IMAGE, "weight": KERNEL[:4], "groups": 2, "dilations": [2, 2], "bias": BIAS[:4]},
        lambda: F.conv_transpose2d(T(IMAGE), T(KERNEL[:4]), T(BIAS[:4]), dilation=2, groups=2),
    ),
    (
        "batch_norm",
        {"x": IMAGE, "mean": MEAN, "variance": VARIANCE, "gamma": GAMMA, "beta": BETA, "epsilon": 1e-3},
        lambda: (T(IMAGE) - T(MEAN)[:, None, None]) / (T(VARIANCE) + 1e-3).sqrt()[:, None, None] * T(GAMMA)[:, None, None]
        + T(BETA)[:, None, None],
    ),
    (
        "layer_norm",
        {"x": IMAGE, "axes": [1], "gamma": GAMMA, "beta": BETA, "epsilon": 1e-6},
        lambda: F.layer_norm(T(IMAGE).permute(0, 2, 3, 1), (4,), T(GAMMA), T(BETA), 1e-6).permute(0, 3, 1, 2),
    ),
    (
        "layer_norm",
        {"x": X, "axes": [-2, -1], "gamma": X[0], "beta": X[1], "epsilon": 1e-5},
        lambda: F.layer_norm(T(X), (3, 4), T(X[0]), T(X[1]), 1e-5),
    ),
    ("layer_norm", {"x": X, "axes": [-1]}, lambda: F.layer_norm(T(X), (4,))),
    (
        "instance_norm",
        {"x": IMAGE, "gamma": GAMMA, "beta": BETA, "epsilon": 1e-4},
        lambda: F.instance_norm(T(IMAGE), weight=T(GAMMA), bias=T(BETA), eps=1e-4),
    ),
    (
        "l2_norm",
        {"x": IMAGE, "epsilon": 1e-6},
        lambda: T(IMAGE) / (T(IMAGE).flatten(1).square().sum(1) + 1e-6).sqrt()[:, None, None, None],
    ),
    (
        "max_pool",
        {"x": IMAGE, "kernel_sizes": [3, 2], "strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 0, 0]},
        lambda: F.max_pool2d(T(IMAGE), (3, 2), 2, padding=(1, 0)),
    ),
    (
        "avg_pool",
        {"x": IMAGE, "kernel_sizes": [3, 3], "strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 1, 1],
         "exclude_padding_from_average": True},
        lambda: F.avg_pool2d(T(IMAGE), 3, 2, padding=1, count_include_pad=False),
    ),
    ("avg_pool", {"x": IMAGE, "kernel_sizes": [2, 2], "pad_type": "valid"}, lambda: F.avg_pool2d(T(IMAGE), 2, 1)),
    ("pixel_shuffle", {"x": IMAGE, "upscale_factor": 2}, lambda: T(IMAGE).reshape(2, 1, 2, 2, 7, 6).permute(0, 1, 4, 2, 5, 3).reshape(2, 1, 14, 12)),
    (
        "upsample_nearest_neighbor",
        {"x": IMAGE, "scale_factor_height": 2, "scale_factor_width": 3.0},
        lambda: F.interpolate(T(IMAGE), scale_factor=(2, 3), mode="nearest"),
    ),
    *[
        (
            "upsample_bilinear",
            {"x": IMAGE, "scale_factor_height": 2, "scale_factor_width": 2.5, "align_corners": aligned},
            lambda aligned=aligned: F.interpolate(T(IMAGE), (14, 15), mode="bilinear", align_corners=aligned),
        )
        for aligned in (True, False)
    ],
    *[
        (
            "resize_bilinear",
            {"x": IMAGE, "target_size_height": 5, "target_size_width": 9, "sampling_mode": mode},
            lambda aligned=aligned: F.interpolate(T(IMAGE), (5, 9), mode="bilinear", align_corners=aligned),
        )
        for mode, aligned in (("STRICT_ALIGN_CORNERS", True), ("ALIGN_CORNERS", True), ("UNALIGN_CORNERS", False))
    ],
    *[
        (
            "quantize",
            {"input": X, "scale": np.float32(0.02), "output_dtype": dtype, **more},
            lambda low=low, high=high, more=more: (torch.round(T(X) / 0.02) + int(more.get("zero_point", 0)))
            .clamp(low, high)
            .to(torch.int8 if low else torch.uint8),
        )
        for dtype, low, high, more in (("int8", -128, 127, {}), ("uint8", 0, 255, {"zero_point": np.uint8(7)}))
    ],
    (
        "quantize",
        {"input": X, "scale": QUANTIZE_SCALES.ravel(), "output_dtype": "int8", "axis": 1},
        lambda: torch.round(T(X) / T(QUANTIZE_SCALES)).clamp(-128, 127).to(torch.int8),
    ),
    (
        "dequantize",
        {"input": INTS.astype(np.int8), "scale": np.float32(0.5), "zero_point": np.int8(3)},
        lambda: (T(INTS).float() - 3) * 0.5,
    ),
    (
        "dequantize",
        {"input": INTS.astype(np.int8), "scale": QUANTIZE_SCALES.ravel(), "axis": -1},
        lambda: T(INTS).float() * T(QUANTIZE_SCALES).reshape(1, 3),
    ),
    (
        "scaled_dot_product_attention",
        {"query": X, "key": POSITIVE, "value": X, "attn_mask": X[:, :, :3]},
        lambda: ((T(X) @ T(POSITIVE).mT) / 2 + T(X[:, :, :3])).softmax(-1) @ T(X),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "parameters", "expected"), AGAINST_TORCH, ids=[f"{i}-{case[0]}" for i, case in enumerate(AGAINST_TORCH)]
)
def test_operation_gives_what_torch_gives(name, parameters, expected):
    torch.testing.assert_close(OPERATIONS[name](**python_values(parameters)), expected(), rtol=2e-5, atol=2e-6)


def test_every_operation_is_tested():
    tested = {case[0] for case in INFERRED} | {case[0] for case in AGAINST_TORCH}
    assert set(OPERATIONS) == tested
    assert set(OPERATIONS) <= set(SSAOpRegistry.core_ops)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("concat", {"values": (X, X), "axis": 0, "interleave": True}, "interleave"),
        ("gelu", {"x": X, "mode": "OTHER"}, "mode=OTHER"),
        ("pad", {"x": X, "pad": [1, 1], "mode": "wrap"}, "mode=wrap"),
        ("gather", {"x": X, "indices": [0], "batch_dims": 1}, "batch_dims=1"),
        ("conv", {"x": IMAGE, "weight": KERNEL, "pad_type": "other"}, "pad_type=other"),
        ("conv_transpose", {"x": IMAGE, "weight": KERNEL[:4], "pad_type": "other"}, "pad_type=other"),
        ("max_pool", {"x": IMAGE, "kernel_sizes": [2, 2], "ceil_mode": True}, "ceil_mode"),
        ("avg_pool", {"x": IMAGE, "kernel_sizes": [2, 2], "ceil_mode": True}, "ceil_mode"),
        ("upsample_nearest_neighbor", {"x": IMAGE, "scale_factor_height": 1.5}, "scale factors"),
        ("upsample_bilinear", {"x": IMAGE, "align_corners": False, "half_pixel_centers": False}, "half_pixel_centers"),
        ("resize_bilinear", {"x": IMAGE, "sampling_mode": "OFFSET_CORNERS"}, "OFFSET_CORNERS"),
        ("cast", {"x": X, "dtype": "string"}, "dtype=string"),
    ],
)
def test_a_configuration_that_is_not_computed_is_refused(name, parameters, message):
    with pytest.raises(UnsupportedConfigurationError, match=message):
        OPERATIONS[name](**python_values(parameters))
