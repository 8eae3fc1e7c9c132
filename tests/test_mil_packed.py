"""Weights in fewer bits: how they are made, what a file holds of them, and how the evaluator unpacks them."""

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Function, types
from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

from lightsam_exporters.formats.mil import Evaluator
from lightsam_exporters.formats.mil.packed import CONSTANT_OPERATIONS, PREFIX, unpacked
from lightsam_exporters.formats.mil.program import read_program
from lightsam_exporters.formats.quantizers import groups_of, linear, palette

RNG = np.random.default_rng(0)


def normal(*shape, dtype=np.float16):
    return RNG.normal(size=shape).astype(dtype)


def integers(dtype, *shape, below):
    return RNG.integers(0, below, shape).astype(dtype)


def sub_byte(bits, *shape):
    """Unsigned integers of so many bits, as coremltools takes them."""
    dtype = types.nptype_from_builtin(types.string_to_builtin(f"uint{bits}"))
    return integers(np.uint8, *shape, below=2**bits).astype(dtype)


def packed_bits(values, bits):
    """The lowest bit first, by a loop: nothing of what is tested."""
    stream = [(int(value) >> bit) & 1 for value in values.ravel() for bit in range(bits)]
    stream += [0] * (-len(stream) % 8)
    return np.array(
        [sum(bit << place for place, bit in enumerate(stream[at : at + 8])) for at in range(0, len(stream), 8)],
        np.uint8,
    )


# What each operation means, written out element by element from Apple's description.


def affine(data, zero_point, scale, axis):
    out = np.empty(data.shape, np.float32)
    for at in np.ndindex(data.shape):
        s = scale[at[axis]] if np.ndim(scale) else scale
        z = zero_point[at[axis]] if np.ndim(zero_point) else zero_point
        out[at] = (np.float32(data[at]) - np.float32(z)) * np.float32(s)
    return out.astype(scale.dtype)


def by_tables(indices, lut):
    out = np.empty(indices.shape, lut.dtype)
    for at in np.ndindex(indices.shape):
        group = tuple(i // (side // count) for i, side, count in zip(at, indices.shape, lut.shape, strict=False))
        out[at] = lut[(*group, int(indices[at]), 0)]
    return out


def by_vectors(indices, lut, axis):
    width = lut.shape[-1]
    shape = list(indices.shape)
    shape[axis] *= width
    out = np.empty(shape, lut.dtype)
    for at in np.ndindex(*shape):
        source = list(at)
        source[axis] //= width
        group = tuple(i // (side // n) for i, side, n in zip(source, indices.shape, lut.shape, strict=False))
        out[at] = lut[(*group, int(indices[tuple(source)]), at[axis] % width)]
    return out


def by_blocks(data, scale, offset=None):
    out = np.empty(data.shape, scale.dtype)
    for at in np.ndindex(data.shape):
        block = tuple(i // (side // count) for i, side, count in zip(at, data.shape, scale.shape, strict=True))
        shifted = np.float32(data[at]) - (0 if offset is None else np.float32(offset[block]))
        out[at] = np.float32(shifted) * np.float32(scale[block])
    return out


def spread(mask, values):
    out, left = np.zeros(mask.shape, values.dtype), list(values)
    for at in np.ndindex(mask.shape):
        if mask[at]:
            out[at] = left.pop(0)
    return out


DATA = integers(np.int8, 4, 6, below=255)
SCALES = np.abs(normal(4))
INDICES = {bits: sub_byte(bits, 4, 6) for bits in (1, 2, 4, 6)}
MASK = sub_byte(1, 4, 6)
SET = int(np.count_nonzero(MASK))
FLAT = integers(np.uint8, 5, 7, below=64)
TABLE = normal(64)
VECTORS = normal(2, 1, 4, 3)

CASES = {
    "affine, a scale a channel": (
        ct.target.iOS16,
        "affine_dequantize",
        {"quantized_data": DATA, "zero_point": np.int8(3), "scale": SCALES, "axis": np.int32(0)},
        lambda: affine(DATA, np.int8(3), SCALES, 0),
    ),
    "affine, zero points along the last axis": (
        ct.target.iOS16,
        "affine_dequantize",
        {
            "quantized_data": DATA.view(np.uint8),
            "zero_point": np.arange(6, dtype=np.uint8),
            "scale": np.abs(normal(6)),
            "axis": np.int32(-1),
        },
        None,
    ),
    "palette of six bits, packed across bytes": (
        ct.target.iOS16,
        "lut_to_dense",
        {"indices": packed_bits(FLAT, 6), "lut": TABLE, "shape": np.array(FLAT.shape, np.uint32)},
        lambda: TABLE[FLAT],
    ),
    "sparse, a bit an element": (
        ct.target.iOS16,
        "sparse_to_dense",
        {
            "nonzero_data": (values := normal(SET)),
            "mask": packed_bits(MASK.astype(np.uint8), 1),
            "shape": np.array(MASK.shape, np.uint32),
        },
        lambda: spread(MASK, CASES["sparse, a bit an element"][2]["nonzero_data"]),
    ),
    "cast": (ct.target.iOS16, "cast", {"source_val": normal(3, 2), "output_dtype": "fp32"}, None),
    **{
        f"tables of {bits} bits, one for two rows": (
            ct.target.iOS18,
            "lut_to_dense",
            {"indices": INDICES[bits], "lut": normal(2, 1, 2**bits, 1)},
            None,
        )
        for bits in (1, 2, 4, 6)
    },
    "tables of vectors": (
        ct.target.iOS18,
        "lut_to_dense",
        {"indices": INDICES[2], "lut": VECTORS, "vector_axis": np.int32(1)},
        lambda: by_vectors(INDICES[2], VECTORS, 1),
    ),
    "blocks of four bits": (
        ct.target.iOS18,
        "blockwise_shift_scale",
        {"data": INDICES[4], "scale": np.abs(normal(4, 3)), "offset": sub_byte(4, 4, 3)},
        None,
    ),
    "sparse, by a mask": (
        ct.target.iOS18,
        "sparse_to_dense",
        {"nonzero_data": normal(SET), "mask": MASK},
        None,
    ),
}


def expected_of(name):
    _, kind, given, expected = CASES[name]
    if expected is not None:
        return expected()
    return {
        "affine_dequantize": lambda: affine(given["quantized_data"], given["zero_point"], given["scale"], -1),
        "cast": lambda: given["source_val"].astype(np.float32),
        "lut_to_dense": lambda: by_tables(given["indices"], given["lut"]),
        "blockwise_shift_scale": lambda: by_blocks(given["data"], given["scale"], given["offset"]),
        "sparse_to_dense": lambda: spread(given["mask"], given["nonzero_data"]),
    }[kind]()


@pytest.mark.parametrize("name", CASES)
def test_every_packed_form_is_unpacked_bit_by_bit(name):
    target, kind, given, _ = CASES[name]
    with Function({}, opset_version=target):
        var = getattr(mb, f"{PREFIX}{kind}")(**given)
        found = unpacked(var)
    expected = expected_of(name)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found)) > 1


@pytest.mark.parametrize("kind", ["lut_to_sparse", "sparse_blockwise_shift_scale"])
def test_chains_of_packed_forms_are_unpacked(kind):
    """Sparse forms give a mask and values, which another operation makes dense."""
    lut, scale = normal(2, 1, 4, 1), np.abs(normal(4, 3))
    with Function({}, opset_version=ct.target.iOS18):
        if kind == "lut_to_sparse":
            indices = sub_byte(2, SET)
            mask, values = mb.constexpr_lut_to_sparse(indices_mask=MASK, indices_nonzero_data=indices, lut=lut)
            dense = by_tables(spread(MASK, indices), lut)
        else:
            data = integers(np.int8, SET, below=100)
            mask, values = mb.constexpr_sparse_blockwise_shift_scale(data_mask=MASK, nonzero_data=data, scale=scale)
            dense = by_blocks(spread(MASK, data), scale)
        found = unpacked(mb.constexpr_sparse_to_dense(nonzero_data=values, mask=mask))
    np.testing.assert_array_equal(found, np.where(MASK != 0, dense, np.float16(0)))


def test_every_packed_form_of_core_ml_is_there():
    assert set(CONSTANT_OPERATIONS) == {name for name in SSAOpRegistry.core_ops if name.startswith(PREFIX)}


@pytest.mark.parametrize("bits", [4, 6, 8])
@pytest.mark.parametrize("target", [ct.target.iOS16, ct.target.iOS18])
def test_packed_weights_survive_a_file(tmp_path, bits, target):
    """Fields of 4 and 6 bits across the borders of bytes, written by coremltools and read back."""
    weight = normal(8, 40)
    form = palette(weight, bits, 1 if target == ct.target.iOS16 else 2)

    @mb.program(input_specs=[mb.TensorSpec((1, 40), types.fp16)], opset_version=target)
    def program(x):
        if target == ct.target.iOS16:
            given = {"indices": packed_bits(form.indices, bits), "shape": np.array(weight.shape, np.uint32)}
            lut = form.tables[0]
        else:
            dtype = types.nptype_from_builtin(types.string_to_builtin(f"uint{bits}"))
            given, lut = {"indices": form.indices.astype(dtype)}, form.tables.reshape(2, 1, -1, 1)
        return mb.linear(x=x, weight=mb.constexpr_lut_to_dense(lut=lut, **given), name="out")

    package = ct.convert(program, minimum_deployment_target=target, skip_model_load=True)
    package.save(str(tmp_path / "p.mlpackage"))
    (var,) = [
        op.inputs["weight"]
        for op in read_program(tmp_path / "p.mlpackage").function.operations
        if op.op_type == "linear"
    ]
    np.testing.assert_array_equal(unpacked(var), form.restored)
    x = normal(1, 40, dtype=np.float32)
    (found,) = Evaluator(tmp_path / "p.mlpackage", "float32")({"x": x}).values()
    np.testing.assert_allclose(
        found, x.astype(np.float16).astype(np.float32) @ form.restored.T.astype(np.float32), atol=1e-2
    )


# Quantizers


@pytest.mark.parametrize("axis", [0, 1])
def test_linear_weights_are_within_half_a_step(axis):
    weight = normal(16, 24, 3, 3) * np.linspace(0.01, 10, 16).reshape(16, 1, 1, 1).astype(np.float16)
    form = linear(weight, axis)
    assert form.data.dtype == np.int8
    assert form.scale.shape == (weight.shape[axis],)
    step = np.moveaxis(
        np.broadcast_to(form.scale.astype(np.float32), (*np.moveaxis(weight, axis, -1).shape,)), -1, axis
    )
    assert (np.abs(form.restored.astype(np.float32) - weight) <= 0.505 * step + 1e-3 * np.abs(weight)).all()
    largest = np.abs(form.data).max(tuple(i for i in range(4) if i != axis))
    assert (largest >= 126).all()  # every channel uses its whole range


def test_a_channel_of_zeros_stays_zero():
    weight = normal(4, 8)
    weight[2] = 0
    assert not linear(weight, 0).restored[2].any()
    assert np.isfinite(palette(weight, 4, 4).restored).all()


@pytest.mark.parametrize("bits", [1, 4, 6, 8])
def test_palettes_are_as_good_as_k_means(bits):
    from sklearn.cluster import KMeans

    weight = (normal(6000) * np.where(RNG.random(6000) > 0.99, 8, 1)).astype(np.float16)
    form = palette(weight.reshape(60, 100), bits)
    assert form.tables.shape == (1, 2**bits)
    assert form.indices.max() < 2**bits
    ours = np.mean((form.restored.ravel().astype(np.float32) - weight) ** 2)
    other = KMeans(2**bits, n_init=1, random_state=0).fit(weight.reshape(-1, 1).astype(np.float32))
    theirs = other.inertia_ / weight.size
    assert ours <= 1.15 * theirs + 1e-6
    nearest = np.abs(weight.reshape(-1, 1).astype(np.float32) - form.tables[0].astype(np.float32)).min(1)
    np.testing.assert_allclose(np.abs(form.restored.ravel().astype(np.float32) - weight), nearest, atol=2e-3)


@pytest.mark.parametrize("bits", [4, 6, 8])
@pytest.mark.parametrize("shape", [(256, 256), (60, 1, 3, 3), (7, 320), (1, 4096, 256), (5, 196, 196), (64, 3, 3, 3)])
def test_groups_always_divide_and_their_tables_stay_small(shape, bits):
    groups = groups_of(shape, bits)
    assert shape[0] % groups == 0
    if groups > 1:
        numbers = np.prod(shape) / groups
        assert 2 * 2**bits <= numbers * bits / 8 / 8


def test_more_tables_are_closer():
    weight = normal(32, 128) * np.geomspace(0.1, 10, 32).reshape(32, 1).astype(np.float16)
    errors = [np.abs(palette(weight, 4, n).restored - weight).astype(np.float32).mean() for n in (1, 4, 32)]
    assert errors[0] > errors[1] > errors[2]
