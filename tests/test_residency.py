"""Which device would run what: a stand-in for Core ML's compute plan, which only a Mac has."""

import platform
from types import SimpleNamespace

import coremltools as ct
import pytest
from coremltools.models import compute_plan

from lightsam.errors import UsageError
from lightsam_exporters.residency import Share, residency


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
    shares = residency(tmp_path / "encoder.mlpackage", "CPU_AND_NE")
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
        residency(tmp_path, "TPU")
