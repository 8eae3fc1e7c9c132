"""Core ML on a connected iPhone, by a stand-in with coremltools' own signatures. Not yet run on a device."""

import inspect
from unittest import mock

import coremltools as ct
import numpy as np
import pytest
from coremltools.models.ml_program.experimental import compute_plan_utils, perf_utils, remote_device
from test_residency import Plan

from lightsam.errors import ContractError, UsageError
from lightsam_benchmarks.latency import iphone, worker
from lightsam_benchmarks.latency.plan import Selection, export_tasks, photograph
from lightsam_benchmarks.latency.record import CALL, OK
from lightsam_benchmarks.latency.timing import Method
from lightsam_exporters.formats import coreml

METHOD = Method(warmup=2, min_count=3, threads=1)


@pytest.fixture
def phone(monkeypatch):
    """What coremltools would talk to, with the answers of a phone that is a little slow at first."""
    device = mock.create_autospec(remote_device.Device, instance=True)
    device.os_version = "26.1"
    device.prepare_for_model_debugging.return_value = device
    connected = mock.create_autospec(remote_device.Device.get_connected_devices, return_value=[device])
    benchmarker = mock.create_autospec(perf_utils.MLModelBenchmarker)
    measured = perf_utils.MLModelBenchmarker.Measurement.from_samples
    benchmarker.return_value.benchmark_load.return_value = measured([900.0, 40.0])
    benchmarker.return_value.benchmark_predict.return_value = measured([30.0, 13.0, 12.0, 11.6, 11.7, 11.5])
    plan = mock.create_autospec(compute_plan_utils.load_compute_plan_from_path_on_device, return_value=Plan())
    monkeypatch.setenv(iphone.TEAM, "ABCDE12345")
    monkeypatch.setattr(remote_device.Device, "get_connected_devices", connected)
    monkeypatch.setattr(perf_utils, "MLModelBenchmarker", benchmarker)
    monkeypatch.setattr(compute_plan_utils, "load_compute_plan_from_path_on_device", plan)
    monkeypatch.setattr(ct.models.MLModel, "get_compiled_model_path", lambda self: "decoder.mlmodelc")
    return mock.Mock(device=device, connected=connected, benchmarker=benchmarker, plan=plan)


def job_of(exports_of, scope, unit):
    asked = Selection(formats=("coreml",), units=(unit,), scopes=(scope,))
    with photograph() as image:
        (task,) = export_tasks(exports_of("coreml", "float16"), asked, METHOD, image)
        return task.job


def test_a_phone_is_measured(exports_of, phone):
    job = job_of(exports_of, "decoder", "IPHONE_CPU_AND_NE")
    found = worker.work(job)
    assert found.status == OK, found.message
    one = found.round
    assert (one.load_cold_ms, one.load_warm_ms, one.first_call_ms) == (900, 40, 30)
    assert one.warmup_ms == {CALL: (13, 12)}
    assert one.ms == {CALL: (11.6, 11.7, 11.5)}
    assert one.peak_memory_bytes is None
    assert (found.unit.requested, found.unit.runtime) == ("IPHONE_CPU_AND_NE", "Core ML of iOS 26.1, iPhone")
    assert [(share.device, share.operations, share.cost) for share in found.residency] == [
        ("Neural Engine", 2, 0.9),
        ("CPU", 1, 0.1),
    ]
    phone.connected.assert_called_once_with(device_type=remote_device.DeviceType.IPHONE)
    credentials = phone.device.prepare_for_model_debugging.call_args.kwargs["credentials"]
    assert credentials.development_team == "ABCDE12345"
    model = phone.benchmarker.call_args.args[0]
    assert model.compute_unit == ct.ComputeUnit.CPU_AND_NE
    given = phone.benchmarker.return_value.benchmark_predict.call_args
    assert given.kwargs == {"iterations": 6}
    assert {name: array.dtype for name, array in given.args[0].items()}["image_embeddings"] == np.float16


def test_an_image_cannot_be_sent_to_a_phone(exports_of, phone):
    found = worker.work(job_of(exports_of, "encoder", "IPHONE_ALL"))
    assert found.status == "failed"
    assert "export it again with --image-input tensor" in found.message


@pytest.mark.parametrize("missing", ["phone", "team"])
def test_what_a_phone_needs_is_said(exports_of, phone, monkeypatch, missing):
    if missing == "phone":
        phone.connected.return_value = []
    else:
        monkeypatch.delenv(iphone.TEAM)
    job = job_of(exports_of, "decoder", "IPHONE_ALL")
    with pytest.raises(UsageError, match="no iPhone is connected" if missing == "phone" else iphone.TEAM):
        iphone.measure(job.files["decoder"], job.unit, worker.inputs_of(job), METHOD)


def test_a_phone_that_fails_is_a_result(exports_of, phone):
    phone.benchmarker.return_value.benchmark_predict.side_effect = RuntimeError("the app was closed\nby the system")
    job = job_of(exports_of, "decoder", "IPHONE_ALL")
    with pytest.raises(ContractError, match=r"did not run decoder.mlpackage: the app was closed$"):
        iphone.measure(job.files["decoder"], job.unit, worker.inputs_of(job), METHOD)


def test_both_stages_together_are_left_to_an_app(exports_of):
    asked = Selection(formats=("coreml",), units=("IPHONE_ALL",))
    with photograph() as image:
        tasks = export_tasks(exports_of("coreml", "float16"), asked, METHOD, image)
    assert [task.job.scope for task in tasks] == ["encoder", "decoder"]


def test_units_are_those_of_core_ml():
    assert len(iphone.UNITS) == len(coreml.FORMAT.units)
    for unit in coreml.FORMAT.units:
        assert hasattr(ct.ComputeUnit, unit)
    assert inspect.iscoroutinefunction(perf_utils.MLModelBenchmarker.benchmark_predict)
