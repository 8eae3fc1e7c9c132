"""The record of edges: every field documented here and in `docs/schemas.md` (a test holds the two together).

The counts of every image are kept, so records of parts of a data set add up exactly. Files are named without the
folders that they lie in.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lightsam.documents import convert, read_json
from lightsam.errors import ContractError
from lightsam.files import write_text
from lightsam_benchmarks.latency.record import GitState
from lightsam_benchmarks.quality.record import Evaluated

from .matching import Counts
from .recipe import Recipe
from .scores import Scores

SCHEMA = 1
"""Raised when a field changes its name or meaning."""
WHAT = "a record of edges"
MARK = "recipe"
"""A key that the JSON of other evaluations has not."""


@dataclass(frozen=True)
class Data:
    """What was evaluated on."""

    name: str
    """Of the folder of boundaries."""
    images: int
    """Their number."""
    limit: int | None
    """Images that were asked for, drawn by the seed; null for all."""
    seed: int
    """Of the sample."""
    dropped: dict[str, int]
    """What was left out of the whole data, by reason."""
    sha256: str
    """Of the images and their boundaries."""


@dataclass(frozen=True)
class Image:
    """One image by one subject."""

    name: str
    """File name."""
    counts: Counts
    masks: int
    """That the edges were made of."""
    not_finite: int
    """Masks with NaN or infinite logits, which were left out."""
    detection_s: float
    """Seconds from the image to its edge map."""
    matching_s: float
    """Seconds that the counts took."""


@dataclass(frozen=True)
class Result:
    """One subject on all images."""

    subject: str
    """Name of the subject."""
    scores: Scores
    images: tuple[Image, ...]


@dataclass(frozen=True)
class Record:
    """One evaluation of edges."""

    created: str
    """UTC, ISO 8601."""
    lightsam: str
    """Its version."""
    git: GitState | None
    """Of the clone that lightsam ran from; null if it was installed."""
    python: str
    versions: dict[str, str]
    """Of the packages that ran it."""
    chip: str
    """Of the machine."""
    data: Data
    recipe: Recipe
    """How edges are made of masks."""
    tolerance: float
    """Within which two pixels may match, of the image's diagonal."""
    thresholds: tuple[float, ...]
    """Of the edge map, rising; all counts are in this order."""
    subjects: tuple[Evaluated, ...]
    results: tuple[Result, ...]
    schema: int = field(default=SCHEMA)


def as_text(record: Record) -> str:
    """As JSON, a line a subject and a result."""
    lines = []
    for key, value in asdict(record).items():
        if key in ("subjects", "results") and value:
            rows = ",\n  ".join(json.dumps(row, allow_nan=False) for row in value)
            lines.append(f' "{key}": [\n  {rows}\n ]')
        else:
            lines.append(f' "{key}": {json.dumps(value, allow_nan=False)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def write(record: Record, path: Path) -> None:
    """Write a record as JSON; a run that is interrupted leaves what was there.

    Raises:
        WriteError: if the system refuses.
    """
    write_text(path, as_text(record))


def read(path: Path) -> Record:
    """Read what `write` wrote.

    Raises:
        ContractError: if it is missing, damaged or of another schema.
    """
    return from_json(read_json(path, WHAT), path)


def from_json(content: Any, path: Path) -> Record:
    """A record from its JSON; ``path`` is for the message.

    Raises:
        ContractError: if it is damaged or of another schema.
    """
    if not isinstance(content, dict) or content.get("schema") != SCHEMA or MARK not in content:
        raise ContractError(f"{path} is not {WHAT} of schema {SCHEMA}: evaluate again with this release")
    record = convert(content, Record, path, WHAT)
    for result in record.results:
        for image in result.images:
            if not fits(image.counts, len(record.thresholds)):
                raise ContractError(f"the record {path} is damaged: {result.subject}, {image.name}, lacks counts")
    return record


def fits(counts: Counts, thresholds: int) -> bool:
    """Whether there is a count for each threshold, and none is larger than what it is a part of."""
    whole = {len(one) for one in (counts.found, counts.matched_found, counts.matched_truth)} == {thresholds}
    parts = all(0 <= part <= of for part, of in zip(counts.matched_found, counts.found, strict=False))
    return whole and parts and all(0 <= part <= counts.truth for part in counts.matched_truth)
