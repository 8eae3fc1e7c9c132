"""Core ML on a connected iPhone, by the remote devices of coremltools 9.0.

Written against the signatures of ``coremltools.models.ml_program.experimental`` and tested with a recorded stand-in;
**not yet run on a device**. It needs a Mac with Xcode, a phone in developer mode, and a team that signs the runner app.
Guide: https://apple.github.io/coremltools/docs-guides/source/mlmodel-debugging-perf-utilities.html
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lightsam.errors import ContractError, UsageError
from lightsam_exporters.formats.base import Share, first_line
from lightsam_exporters.formats.compute_plan import shares_of
from lightsam_exporters.formats.coreml import FORMAT as COREML
from lightsam_exporters.formats.quiet import import_quietly

from .record import CALL, Round
from .timing import Method

_PREFIX = "IPHONE_"
UNITS = tuple(f"{_PREFIX}{unit}" for unit in COREML.units)
FORMAT = COREML.name
"""What a phone runs."""
TEAM = "LIGHTSAM_DEVELOPMENT_TEAM"
"""Environment variable with the identifier of the Apple developer team that signs the runner app."""


def measure(path: Path, unit: str, inputs: Mapping[str, np.ndarray], method: Method) -> tuple[Round, str, list[Share]]:
    """Time a package on the first connected iPhone: the round, what ran it, and who would do what.

    Raises:
        ContractError: if the phone or its runner refuses.
        UsageError: if no phone is connected, or the package takes an image, which the runner cannot be sent.
    """
    return asyncio.run(_measure(path, unit.removeprefix(_PREFIX), inputs, method))


async def _measure(
    path: Path, compute_units: str, inputs: Mapping[str, np.ndarray], method: Method
) -> tuple[Round, str, list[Share]]:
    coremltools = import_quietly("coremltools")
    from coremltools.models.ml_program.experimental.compute_plan_utils import load_compute_plan_from_path_on_device
    from coremltools.models.ml_program.experimental.perf_utils import MLModelBenchmarker

    units = coremltools.ComputeUnit[compute_units]
    model = coremltools.models.MLModel(str(path), compute_units=units)
    given = _arrays(path, model, inputs)
    try:
        device = await _prepared_phone()
        benchmarker = MLModelBenchmarker(model, device=device)
        cold, warm = (await benchmarker.benchmark_load(iterations=2)).samples
        # The runner times calls one by one and stops at a count, not at a time.
        calls = (await benchmarker.benchmark_predict(given, iterations=1 + method.warmup + method.min_count)).samples
        plan = await load_compute_plan_from_path_on_device(
            path=model.get_compiled_model_path(), compute_units=units, device=device
        )
    except UsageError:
        raise
    # What fails on the phone comes as the runner's own errors, or as those of Xcode's tools.
    except Exception as error:
        raise ContractError(f"the iPhone did not run {path.name}: {first_line(error)}") from error
    first, *rest = calls
    measured = Round(
        load_cold_ms=cold,
        evicted=False,
        load_warm_ms=warm,
        first_call_ms=first,
        memory_before_bytes=None,
        peak_memory_bytes=None,
        device_memory_bytes=None,
        warmup_ms={CALL: tuple(rest[: method.warmup])},
        ms={CALL: tuple(rest[method.warmup :])},
        complete=True,
    )
    return measured, f"Core ML of iOS {device.os_version}, iPhone", shares_of(plan)


def _arrays(path: Path, model: Any, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    given = {}
    for feature in model.get_spec().description.input:
        if feature.type.WhichOneof("Type") == "imageType":
            raise UsageError(
                f"{path.name} takes an image, and coremltools sends a phone arrays alone: export it again with "
                "--image-input tensor"
            )
        half = feature.type.multiArrayType.dataType == feature.type.multiArrayType.FLOAT16
        given[feature.name] = inputs[feature.name].astype(np.float16 if half else np.float32)
    return given


async def _prepared_phone() -> Any:
    from coremltools.models.ml_program.experimental.remote_device import AppSigningCredentials, Device, DeviceType

    phones = Device.get_connected_devices(device_type=DeviceType.IPHONE)
    if not phones:
        raise UsageError("no iPhone is connected: plug one in, unlock it, and switch its developer mode on")
    team = os.environ.get(TEAM)
    if not team:
        raise UsageError(f"the runner app must be signed: set {TEAM} to the identifier of your Apple developer team")
    return await phones[0].prepare_for_model_debugging(credentials=AppSigningCredentials(development_team=team))
