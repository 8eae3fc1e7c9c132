"""Which device would run what: a stand-in for Core ML's compute plan, which only a Mac has."""

import platform
from types import SimpleNamespace

import coremltools as ct
import numpy as np
import pytest
from coremltools.models import compute_plan

from lightsam.errors import ContractError, UsageError
from lightsam_exporters.formats import coreml
from lightsam_exporters.formats.base import Share
from lightsam_exporters.formats.running import RunOptions


class MLNeuralEngineComputeDevice: ...


class MLCPUComputeDevice: ...


class Plan:
    """Two operations on the Neural Engine, one on the CPU, one constant."""

    def __init__(self):
        self.operations = ["conv", "gelu", "gather", "const"]
        block = SimpleNamespace(operations=self.operations)
        program = SimpleNamespace(functions={"main": SimpleNamespace(block=block)})
        self.model_structure = SimpleNamespace(program=program)

    def get_compute_device_usage_for_mlprogram_operation(self, operation):
        if operation == "const":
            return None
        device = MLCPUComputeDevice() if operation == "gather" else MLNeuralEngineComputeDevice()
        return SimpleNamespace(preferred_compute_device=device)

    def get_estimated_cost_for_mlprogram_operation(self, operation):
        return None if operation == "gelu" else SimpleNamespace(weight={"conv": 0.9, "gather": 0.1}[operation])


@pytest.fixture
def mac(monkeypatch):
    asked = {}

    def load_from_path(path, compute_units):
        asked.update(path=path, compute_units=compute_units)
        return Plan()

    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(ct.models.utils, "compile_model", lambda path: path.replace(".mlpackage", ".mlmodelc"))
    monkeypatch.setattr(compute_plan.MLComputePlan, "load_from_path", load_from_path)
    return asked


def test_shares_of_operations_and_cost(mac, tmp_path):
    shares = coreml.FORMAT.residency(tmp_path / "encoder.mlpackage", "CPU_AND_NE", {})
    assert shares == [Share("Neural Engine", 2, 0.9), Share("CPU", 1, 0.1)]
    assert mac["path"].endswith("encoder.mlmodelc")
    assert mac["compute_units"] == ct.ComputeUnit.CPU_AND_NE


def test_the_command_prints_a_table_a_stage(exported, lightsam, mac):
    done = lightsam("residency", exported, "--precision", "float16")
    assert done.status == 0, done.stderr
    assert "coreml-float16 encoder, ALL" in done.stdout
    assert done.stdout.count("Neural Engine") == 2
    assert "90.0%" in done.stdout


def test_anywhere_else_it_is_refused(exported, lightsam, tmp_path):
    done = lightsam("residency", exported)
    assert done.status == 2
    assert "can be had on macOS alone" in done.stderr
    with pytest.raises(UsageError, match="no compute units 'TPU'"):
        coreml.FORMAT.residency(tmp_path, "TPU", {})


class Model:
    """In the place of coremltools' MLModel: gives what it was asked back."""

    def __init__(self, path, compute_units):
        self.spec = ct.models.utils.load_spec(path)
        self.asked = []

    def get_spec(self):
        return self.spec

    def get_compiled_model_path(self):
        return "somewhere.mlmodelc"

    def predict(self, features):
        self.asked.append(features)
        return {"image_embeddings": np.ones((1, 2), np.float16)}


def test_core_ml_gets_an_image_that_was_made_before_the_clock_runs(exports_of, mac, monkeypatch):
    models = []
    monkeypatch.setattr(ct.models, "MLModel", lambda *a, **k: models.append(Model(*a, **k)) or models[-1])
    path = exports_of("coreml", "float16").path("encoder")
    session = coreml.FORMAT.start(path, "encoder", RunOptions(unit="CPU_AND_NE"))
    assert session.unit == "CPU_AND_NE"
    call = session.prepare({"image": np.full((1, 3, 128, 128), 7.4, np.float32)})
    outputs = [call(), call()]
    assert outputs[0]["image_embeddings"].dtype == np.float32
    first, second = (asked["image"] for asked in models[0].asked)
    assert first is second
    assert np.asarray(first).shape == (128, 128, 3)
    assert np.asarray(first).max() == 7


def test_a_package_that_core_ml_refuses_is_not_timed(exports_of, mac, monkeypatch):
    """MLModel itself only warns."""

    class Refused(Model):
        def get_compiled_model_path(self):
            raise Exception("This model was not loaded or compiled with the Core ML Framework.")

    monkeypatch.setattr(ct.models, "MLModel", Refused)
    with pytest.raises(ContractError, match=r"Core ML refuses .*was not loaded"):
        coreml.FORMAT.start(exports_of("coreml", "float16").path("encoder"), "encoder", RunOptions())
