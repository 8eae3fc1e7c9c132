"""Records of evaluations as files: one JSON each, or the results of a sweep."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lightsam.documents import convert, read_json
from lightsam.errors import ContractError
from lightsam.files import write_text
from lightsam_benchmarks.sweep_results import records_in

from .evaluation import CLICKS
from .record import SCHEMA, Record

WHAT = "a record of quality"
MARK = "protocol"
"""A key that the JSON of other evaluations has not."""


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
            rows = ",\n  ".join(json.dumps(row, allow_nan=False) for row in value)
            lines.append(f' "{key}": [\n  {rows}\n ]' if value else f' "{key}": []')
        else:
            lines.append(f' "{key}": {json.dumps(value, allow_nan=False)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read(path: Path) -> Record:
    """Read what `write` wrote.

    Raises:
        ContractError: if it is missing, damaged or of another schema.
    """
    return from_json(read_json(path, WHAT), path)


def read_all(path: Path) -> list[Record]:
    """Read what `write` wrote, or a sweep's results (``.jsonl``): a record for each data, protocol and machine.

    Raises:
        ContractError: if it is missing, damaged or of another schema, or a sweep that evaluated nothing.
    """
    if path.suffix != ".jsonl":
        return [read(path)]
    groups: dict[str, list[Record]] = {}
    for one in (from_json(content, path) for content in records_in(path, "evaluation", "evaluation")):
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
    if not isinstance(content, dict) or content.get("schema") != SCHEMA or MARK not in content:
        raise ContractError(f"{path} is not {WHAT} of schema {SCHEMA}: evaluate again with this release")
    record = convert(content, Record, path, WHAT)
    for result in record.results:
        if not len(result.ious) == len(result.boundary_ious) == len(record.objects):
            raise ContractError(f"the record {path} is damaged: {result.subject}, {result.prompts}, lacks objects")
        if len(result.after_click) != (record.clicks if result.prompts == CLICKS else 0):
            raise ContractError(f"the record {path} is damaged: {result.subject} has not {record.clicks} clicks")
    return record
