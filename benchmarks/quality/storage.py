"""Records of evaluations as files: one JSON each, or the results of a sweep."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lightsam.checkpoints import Weights
from lightsam.errors import ContractError
from lightsam.files import write_text
from lightsam_benchmarks.record import Subject

from .evaluation import Protocol
from .record import SCHEMA, Data, Difference, Evaluated, Object, Reached, Record, Result, SizeScore


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
