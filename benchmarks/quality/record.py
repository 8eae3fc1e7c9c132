"""The record of an evaluation: one JSON, every field documented here and in the README (a test holds the two together).

IoUs are shares from 0 to 1, rounded to five digits. Files are named without the folders that they lie in.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lightsam.checkpoints import Weights
from lightsam.errors import ContractError
from lightsam.files import write_text
from lightsam_benchmarks.record import Subject

from .evaluation import Protocol

SCHEMA = 1
"""Raised when a field changes its name or meaning."""


@dataclass(frozen=True)
class Data:
    """What was evaluated on."""

    name: str
    """Of the annotation file or folder."""
    kind: str
    """``coco``, ``masks`` or ``bsds``."""
    images: int
    """Their number, with one object at least."""
    objects: int
    limit: int | None
    """Images that were asked for, drawn by the seed; null for all."""
    annotator: str | None
    """Of BSDS500: a number from 1, or ``all``; null elsewhere."""
    dropped: dict[str, int]
    """What was left out of the whole data, by reason: crowds, empty or small objects, images without objects."""
    sha256: str
    """Of the images and their ground truth."""


@dataclass(frozen=True)
class Evaluated:
    """A model, or an export, that was evaluated."""

    name: str
    """What `Result.subject` calls it."""
    about: Subject
    files: dict[str, str]
    """sha256 of each stage's file as it was run; empty for PyTorch."""
    runs_on: str
    """Runtime and unit, or lightsam's evaluator and its numerics."""
    changed: bool
    """Whether a file is no longer the one that its manifest describes."""


@dataclass(frozen=True)
class Object:
    """One object of the ground truth."""

    image: str
    """File name."""
    id: str
    """Of the annotation; of a label image the value; of BSDS500 annotator and region."""
    label: str
    """Its category, where the data name one."""
    area: int
    """Pixels of its mask."""

    @property
    def key(self) -> tuple[str, str, int]:
        """What identifies it in another record; the same place with another mask is another object."""
        return (self.image, self.id, self.area)


@dataclass(frozen=True)
class SizeScore:
    """Objects of one size together."""

    objects: int
    miou: float
    boundary_iou: float


@dataclass(frozen=True)
class Reached:
    """Clicks to an IoU."""

    clicks: float
    """Mean number of clicks; an object that never gets there counts as all of its clicks."""
    share: float
    """Of the objects, that get there."""


@dataclass(frozen=True)
class Result:
    """One subject, asked with one kind of prompt."""

    subject: str
    """Name of the subject."""
    prompts: str
    """``box``, ``point`` or ``clicks``."""
    miou: float
    """Mean IoU over objects; of clicks, after the last."""
    interval: tuple[float, float] | None
    """Of the mean at 95 %, by the bootstrap over images; null for a single image."""
    boundary_iou: float
    """Mean boundary IoU over objects."""
    by_size: dict[str, SizeScore]
    """COCO's sizes: ``small`` below 32², ``medium`` below 96², ``large``; those that there are."""
    after_click: tuple[float, ...]
    """Mean IoU after each click; empty for other prompts."""
    noc: dict[str, Reached]
    """By the IoU that is to be reached, in percent; empty for other prompts."""
    not_finite: int
    """Answers with NaN or infinite logits."""
    ious: tuple[float, ...]
    """Of every object, in the order of the record's objects."""
    boundary_ious: tuple[float, ...]
    click_ious: tuple[tuple[float, ...], ...]
    """Of every object after each click; empty for other prompts."""


@dataclass(frozen=True)
class Difference:
    """Two subjects on the same objects."""

    a: str
    b: str
    """Names; of two records, each with its record's."""
    prompts: str
    objects: int
    images: int
    miou_a: float
    miou_b: float
    difference: float
    """B less A."""
    interval: tuple[float, float] | None
    """Of the difference at 95 %, by the paired bootstrap over images; null for a single image."""
    largest_loss: float
    """Of a single object: its IoU by A less that by B; 0 if none loses."""

    @property
    def is_noise(self) -> bool:
        """Whether both may well be equally good."""
        return self.interval is None or self.interval[0] <= 0 <= self.interval[1]

    def is_lost(self, margin: float) -> bool:
        """Whether B is worse, beyond noise, by more than ``margin``."""
        return not self.is_noise and -self.difference > margin


@dataclass(frozen=True)
class Record:
    """One evaluation."""

    created: str
    """UTC, ISO 8601."""
    lightsam: str
    """Its version."""
    git: dict[str, Any] | None
    """``commit`` and ``dirty`` of the clone that lightsam ran from; null if it was installed."""
    python: str
    versions: dict[str, str]
    """Of the packages that ran it."""
    chip: str
    """Of the machine."""
    data: Data
    protocol: Protocol
    clicks: int
    """On each object; 0 for none."""
    seed: int
    """Of the sample, of random clicks and of the bootstrap."""
    subjects: tuple[Evaluated, ...]
    objects: tuple[Object, ...]
    results: tuple[Result, ...]
    differences: tuple[Difference, ...] = ()
    """What ``--vs`` found."""
    schema: int = field(default=SCHEMA)

    def result(self, subject: str, prompts: str) -> Result | None:
        """What one subject did with one kind of prompt."""
        return next((one for one in self.results if (one.subject, one.prompts) == (subject, prompts)), None)


def write(record: Record, path: Path) -> None:
    """Write a record as JSON; a run that is interrupted leaves what was there.

    Raises:
        WriteError: if the system refuses.
    """
    write_text(path, as_text(record))


def as_text(record: Record) -> str:
    """As JSON: a line a subject, an object and a result, so that two records can be held beside one another."""
    content = asdict(record)
    lists = ("subjects", "objects", "results", "differences")
    lines = []
    for key, value in content.items():
        if key in lists:
            rows = ",\n  ".join(json.dumps(row, allow_nan=False, ensure_ascii=False) for row in value)
            lines.append(f' "{key}": [\n  {rows}\n ]' if value else f' "{key}": []')
        else:
            lines.append(f' "{key}": {json.dumps(value, allow_nan=False, ensure_ascii=False)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read(path: Path) -> Record:
    """Read what `write` wrote.

    Raises:
        ContractError: if it is missing, damaged or of another schema.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ContractError(f"the record {path} cannot be read ({error})") from error
    return from_json(content, path)


def read_all(path: Path) -> list[Record]:
    """Read what `write` wrote, or a sweep's results (``.jsonl``): a record for each data, protocol and machine.

    Raises:
        ContractError: if it is missing, damaged or of another schema, or a sweep that evaluated nothing.
    """
    if path.suffix != ".jsonl":
        return [read(path)]
    try:
        lines = {line["key"]: line for line in map(json.loads, path.read_text(encoding="utf-8").splitlines())}
        found = [line["found"]["evaluation"] for line in lines.values() if "evaluation" in line["found"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ContractError(f"the record {path} cannot be read ({error})") from error
    if not found:
        raise ContractError(f"{path} holds no evaluation: its sweep did something else, or every point failed")
    groups: dict[str, list[Record]] = {}
    for one in (from_json(content, path) for content in found):
        same = (one.data, one.protocol, one.clicks, one.seed, one.versions, one.git, one.python, one.chip, one.objects)
        groups.setdefault(repr(same), []).append(one)
    return [
        replace(
            group[0],
            subjects=tuple(subject for one in group for subject in one.subjects),
            results=tuple(result for one in group for result in one.results),
        )
        for group in groups.values()
    ]


def from_json(content: Any, path: Path) -> Record:
    """A record from its JSON; ``path`` is for the message.

    Raises:
        ContractError: if it is damaged or of another schema.
    """
    if not isinstance(content, dict) or content.get("schema") != SCHEMA or "protocol" not in content:
        raise ContractError(
            f"{path} is not an evaluation's record of schema {SCHEMA}: evaluate again with this release"
        )
    try:
        record = Record(
            **{
                **content,
                "data": Data(**content["data"]),
                "protocol": Protocol(**content["protocol"]),
                "subjects": tuple(_evaluated(entry) for entry in content["subjects"]),
                "objects": tuple(Object(**entry) for entry in content["objects"]),
                "results": tuple(_result(entry) for entry in content["results"]),
                "differences": tuple(Difference(**_tuples(entry)) for entry in content["differences"]),
            }
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ContractError(f"the record {path} is damaged: {error}") from error
    for result in record.results:
        if not len(result.ious) == len(result.boundary_ious) == len(record.objects):
            raise ContractError(f"the record {path} is damaged: {result.subject}, {result.prompts}, lacks objects")
    return record


def _evaluated(entry: Mapping[str, Any]) -> Evaluated:
    about = {**entry["about"], "weights": Weights(**entry["about"]["weights"])}
    return Evaluated(**{**entry, "about": Subject(**about)})


def _result(entry: Mapping[str, Any]) -> Result:
    return Result(
        **{
            **_tuples(entry),
            "by_size": {name: SizeScore(**one) for name, one in entry["by_size"].items()},
            "noc": {name: Reached(**one) for name, one in entry["noc"].items()},
            "click_ious": tuple(tuple(row) for row in entry["click_ious"]),
        }
    )


def _tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
