"""The results of a sweep (``.jsonl``): one point a line, as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from lightsam.documents import convert, parse_json
from lightsam.errors import ContractError

_WHAT = "a sweep's result"


@dataclass(frozen=True)
class SweepResult:
    """One line of a sweep's results."""

    LINE_BEGINS: ClassVar[str] = '{"key": "'
    key: str
    """The point: model, image size, format and precision."""
    work: str
    """``export``, ``parity``, ``benchmark``, ``evaluate`` or ``tradeoff``."""
    sweep: str
    """Digest of the sweep's settings."""
    status: str
    """``ok`` or ``failed``."""
    message: str
    """What failed; empty if nothing did."""
    seconds: float
    """How long the point took."""
    found: Mapping[str, Any] = field(default_factory=dict)
    """Sizes of an export, the judgement, or the whole record of a benchmark or an evaluation."""

    def as_line(self) -> str:
        """The result as one line of JSON, with its end of line."""
        return json.dumps(asdict(self), allow_nan=False) + "\n"


def parse_lines(text: str, path: Path) -> list[SweepResult]:
    """The results in the lines of a file.

    Args:
        path: of the file, for the message.

    Raises:
        ContractError: naming the first line that is no result.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        origin = f"{path}, line {number},"
        found.append(convert(parse_json(line, origin, _WHAT), SweepResult, origin, _WHAT))
    return found


def records_in(path: Path, name: str, what: str) -> list[Any]:
    """The JSON of every record that a sweep found, the last of each point.

    Args:
        name: under which a point keeps its record.
        what: what the sweep should have done, for the message: "benchmark".

    Raises:
        ContractError: if the file cannot be read, or its sweep did something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ContractError(f"the results of a sweep in {path} cannot be read ({error})") from error
    last = {result.key: result for result in parse_lines(text, path)}
    found = [result.found[name] for result in last.values() if name in result.found]
    if not found:
        raise ContractError(f"{path} holds no {what}: its sweep did something else, or every point failed")
    return found
