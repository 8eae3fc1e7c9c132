"""``lightsam sensitivity``: what each part of a model costs in masks when its weights have fewer bits."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from lightsam.errors import UsageError
from lightsam.files import write_text
from lightsam.models import find_model
from lightsam.stages import STAGE_NAMES

from .calibration import Calibration
from .formats import find_format, options_of
from .formats.base import OnStep
from .formats.mil.compress import LINEAR, PALETTE, Bits
from .formats.mil.sensitivity import GroupCost, StageUnderTest, rank
from .objects import find_objects
from .parity.measurement import finite
from .parity.reference import References
from .provenance import Provenance

BITS = {1: PALETTE, 2: PALETTE, 4: PALETTE, 6: PALETTE, 8: LINEAR}
"""How a weight of so many bits is stored: what Core ML has for it."""
IMAGES = 8
"""Of the calibration images, unless told otherwise: each is run once for every group."""


@dataclass(frozen=True)
class Ranking:
    """What was found about one model."""

    model: str
    image_size: int
    weights: str
    bits: int
    images: str
    """That masks were measured on, in words."""
    prompts: int
    costs: tuple[GroupCost, ...]
    """The cheapest megabyte first."""

    def as_json(self) -> str:
        """As a file."""
        rows = [{**asdict(one), "lost_per_megabyte": one.lost_per_megabyte} for one in self.costs]
        # A group that the prompts do not reach, such as that of mask prompts, moves nothing: its decibels are null.
        return json.dumps(finite({**asdict(self), "costs": rows}), indent=1, allow_nan=False) + "\n"

    def write(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            WriteError: if the system refuses.
        """
        write_text(path, self.as_json())


def measure(
    model: str,
    weights: str,
    calibration: Calibration,
    *,
    bits: int = 4,
    stages: Sequence[str] = STAGE_NAMES,
    image_size: int | None = None,
    images: int = IMAGES,
    references: References | None = None,
    accept_license: bool = False,
    on_step: OnStep = lambda _: None,
) -> Ranking:
    """Compress one group of a model's weights after another, as Core ML stores them, and measure masks.

    Args:
        model: as in ``lightsam models``.
        weights: as for an export; drawn ones have no masks to lose.
        calibration: the images.
        bits: a key of `BITS`.
        stages: whose groups are ranked.
        image_size: of the model; its own by default.
        images: how many of the calibration images.
        references: models that were loaded already.
        accept_license: whether weights that are not for commercial use may be taken.
        on_step: progress callback.

    Raises:
        UsageError: for bits or stages that do not exist, or images in which nothing is found.
        CheckpointError: for weights that cannot be had.
        ExportError: if the converter fails.
    """
    if bits not in BITS:
        raise UsageError(f"there is no storage in {bits} bits; choose from: {', '.join(map(str, BITS))}")
    unknown = [stage for stage in stages if stage not in STAGE_NAMES]
    if unknown or images < 1:
        raise UsageError(f"there is no stage {unknown[0]!r}" if unknown else "--images is 1 at least")
    backend = find_format("coreml")
    card = find_model(model)
    size = card.resolve_image_size(image_size)
    on_step(f"loading {card.title}, {weights} weights")
    reference = (references or References()).load(model, weights, size, accept_license)
    options = options_of("coreml", precision="float16").for_model(card.skeleton(size).rules.prompts.slots)
    both = reference.stages(options)
    on_step("finding objects in the calibration images")
    found = find_objects(both, islice(calibration.images(), images))
    provenance = Provenance.of(card, size, options.point_slots, reference.weights)
    with tempfile.TemporaryDirectory() as folder:
        tests = []
        for name in stages:
            on_step(f"converting the {name} to coreml, float16")
            package = Path(folder) / backend.file_name(name)
            backend.export([both[name]], package, options, provenance)
            graph = backend.graph(both[name], options)
            tests.append(StageUnderTest(package, both[name], graph, options.point_slots, both))
        costs = rank(tests, found, Bits(BITS[bits], bits), one_table=True, on_step=on_step)
    prompts = sum(len(one.prompts) for one in found)
    return Ranking(
        model, size, reference.weights.title, bits, f"{len(found)} of {calibration.name}", prompts, tuple(costs)
    )
