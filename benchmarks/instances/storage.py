"""Records of instances as files."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lightsam.documents import convert, read_json
from lightsam.errors import ContractError
from lightsam.files import write_text

from .record import SCHEMA, Record

WHAT = "a record of instances"
MARK = "sets"
"""A key that the JSON of other evaluations has not."""
_LISTS = ("subjects", "sets", "results", "means", "differences")


def write(record: Record, path: Path) -> None:
    """Write a record as JSON, a line a subject, a set and a result; interrupted, it leaves what was there.

    Raises:
        WriteError: if the system refuses.
    """
    lines = []
    for key, value in asdict(record).items():
        if key in _LISTS and value:
            rows = ",\n  ".join(json.dumps(row, allow_nan=False) for row in value)
            lines.append(f' "{key}": [\n  {rows}\n ]')
        else:
            lines.append(f' "{key}": {json.dumps(value, allow_nan=False)}')
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


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
    pairs = {(subject.name, one.name) for subject in record.subjects for one in record.sets}
    if pairs != {(one.subject, one.set) for one in record.results}:
        raise ContractError(f"the record {path} is damaged: it has not one result a subject and set")
    return record
