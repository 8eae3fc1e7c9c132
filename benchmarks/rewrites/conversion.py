"""Seconds that an export works before anything is judged: weights, contract, conversion."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from lightsam.stages import POINT_SLOTS, split
from lightsam.weights.checkpoints import load_model
from lightsam_exporters.formats import find_format, options_of
from lightsam_exporters.provenance import Provenance


def convert(model: str, checkpoint: Path, image_size: int, formats: Sequence[str]) -> dict[str, float]:
    """Do what ``lightsam export`` does, without reading anything back; to be called in a process of its own.

    The formats' options are their defaults, and the import of the converters counts.

    Returns:
        Seconds of every step, by its name.
    """
    seconds = {}
    began = time.perf_counter()

    def step(name: str) -> None:
        nonlocal began
        now = time.perf_counter()
        seconds[name], began = now - began, now

    loaded = load_model(model, weights=str(checkpoint), image_size=image_size, accept_license=True)
    stages = split(loaded.sam)
    for stage in stages:
        stage.check()
    step("weights and contract")
    with tempfile.TemporaryDirectory() as folder:
        for name in formats:
            backend, options = find_format(name), options_of(name)
            stages = split(loaded.sam, point_slots=options.point_slots or POINT_SLOTS)
            provenance = Provenance.of(loaded.card, image_size, options.point_slots, loaded.weights)
            for stage in stages:
                path = Path(folder) / f"{name}-{backend.file_name(stage.name)}"
                backend.export([stage], path, options, provenance)
                step(f"{name} {stage.name}")
    return seconds
