"""The evaluator runs saved packages: its two numerics, and what it refuses."""

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb

from lightsam.errors import ContractError
from lightsam_exporters.formats.mil import Evaluator, EvaluatorError, UnknownOpError
from lightsam_exporters.formats.mil.program import read_program


def save(tmp_path, build, shape=(1, 4), precision=ct.precision.FLOAT16, **convert):
    """A package of one function of ``x``."""

    @mb.program(input_specs=[mb.TensorSpec(shape)], opset_version=ct.target.iOS16)
    def program(x):
        return build(x)

    package = ct.convert(
        program,
        minimum_deployment_target=ct.target.iOS16,
        compute_precision=precision,
        skip_model_load=True,
        **convert,
    )
    path = tmp_path / "program.mlpackage"
    package.save(str(path))
    return path


def run(path, x, numerics):
    return next(iter(Evaluator(path, numerics)({"x": np.asarray(x, np.float32)}).values()))


def test_declared_numerics_round_every_result_to_its_dtype(tmp_path):
    path = save(tmp_path, lambda x: mb.sub(x=mb.add(x=x, y=np.float32(2048)), y=np.float32(2048), name="out"))
    x = [[0.25, 1.0, 3.0, -1.0]]
    assert run(path, x, "float32").tolist() == x
    assert run(path, x, "declared").tolist() == [[0, 0, 4, -1]]  # float16 counts in twos above 2048, ties to even


def test_declared_numerics_overflow_as_float16_does(tmp_path):
    path = save(tmp_path, lambda x: mb.real_div(x=mb.mul(x=x, y=np.float32(300)), y=np.float32(300), name="out"))
    x = [[1.0, 200, 300, -300]]
    np.testing.assert_allclose(run(path, x, "float32"), x, rtol=1e-3)
    found = run(path, x, "declared")
    np.testing.assert_allclose(found[0, :2], [1, 200], rtol=1e-3)
    assert found[0, 2:].tolist() == [np.inf, -np.inf]  # 300 * 300 is past 65504


def test_a_float32_program_is_not_rounded(tmp_path):
    path = save(
        tmp_path,
        lambda x: mb.mul(x=mb.mul(x=x, y=np.float32(300)), y=np.float32(300), name="out"),
        precision=ct.precision.FLOAT32,
    )
    assert run(path, [[1.0, 2, 3, 4]], "declared").tolist() == [[90000, 180000, 270000, 360000]]


def test_weights_come_from_the_weight_file(tmp_path):
    weight = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    path = save(
        tmp_path, lambda x: mb.linear(x=x, weight=weight, name="out"), shape=(1, 64), precision=ct.precision.FLOAT32
    )
    x = np.ones((1, 64), np.float32)
    np.testing.assert_allclose(run(path, x, "float32"), x @ weight.T, atol=1e-5)
    weights = path / "Data" / "com.apple.CoreML" / "weights" / "weight.bin"
    content = bytearray(weights.read_bytes())
    content[-4:] = np.float32(1e3).tobytes()
    weights.write_bytes(content)
    assert not np.allclose(run(path, x, "float32"), x @ weight.T, rtol=1e-1)


def test_compressed_weights_are_read(tmp_path):
    weight = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    path = save(
        tmp_path, lambda x: mb.linear(x=x, weight=weight, name="out"), shape=(1, 64), precision=ct.precision.FLOAT32
    )
    config = ct.optimize.coreml.OptimizationConfig(
        ct.optimize.coreml.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=0)
    )
    compressed = ct.optimize.coreml.linear_quantize_weights(ct.models.MLModel(str(path), skip_model_load=True), config)
    path = tmp_path / "compressed.mlpackage"
    compressed.save(str(path))
    assert any(op.op_type.startswith("constexpr_") for op in read_program(path).function.operations)
    x = np.ones((1, 64), np.float32)
    found = run(path, x, "float32")
    np.testing.assert_allclose(found, x @ weight.T, atol=0.4)
    assert np.abs(found - x @ weight.T).max() > 1e-4  # it really is quantised


def test_unknown_operations_are_named(tmp_path):
    path = save(tmp_path, lambda x: mb.cumsum(x=mb.acos(x=x), axis=1, name="out"))
    with pytest.raises(UnknownOpError, match="does not know the operations acos, cumsum"):
        Evaluator(path)


def test_an_unsupported_configuration_names_the_operation(tmp_path):
    path = save(
        tmp_path,
        lambda x: mb.resize_bilinear(
            x=x, target_size_height=3, target_size_width=3, sampling_mode="DEFAULT", name="out"
        ),
        shape=(1, 1, 2, 2),
    )
    with pytest.raises(EvaluatorError, match=r"resize_bilinear '.*' with sampling_mode=DEFAULT"):
        run(path, np.zeros((1, 1, 2, 2)), "float32")


def test_other_inputs_are_refused(tmp_path):
    evaluator = Evaluator(save(tmp_path, lambda x: mb.relu(x=x, name="out")))
    with pytest.raises(ContractError, match=r"takes \['x'\]; it was given \['y'\]"):
        evaluator({"y": np.zeros((1, 4))})
    with pytest.raises(ContractError, match=r"x is declared \(1, 4\); it was given \(2, 4\)"):
        evaluator({"x": np.zeros((2, 4))})


@pytest.mark.parametrize("damage", ["missing", "manifest", "specification", "weights", "empty"])
def test_a_damaged_package_is_refused(tmp_path, damage):
    weight = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    path = save(tmp_path, lambda x: mb.linear(x=x, weight=weight, name="out"), shape=(1, 64))
    data = path / "Data" / "com.apple.CoreML"
    if damage == "missing":
        path = tmp_path / "other.mlpackage"
    elif damage == "manifest":
        (path / "Manifest.json").write_text("{", encoding="utf-8")
    elif damage == "specification":
        (data / "model.mlmodel").write_bytes(b"no protobuf message")
    elif damage == "weights":
        (data / "weights" / "weight.bin").unlink()
    else:
        (data / "model.mlmodel").write_bytes(b"")
    with pytest.raises(ContractError, match=str(path)):
        Evaluator(path)
