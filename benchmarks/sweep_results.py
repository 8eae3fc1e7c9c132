"""The lines of a sweep's results (``.jsonl``), as records are read from them."""

import json
from pathlib import Path
from typing import Any

from lightsam.errors import ContractError


def records_in(path: Path, name: str, what: str) -> list[Any]:
    """The JSON of every record that a sweep found, the last of each point.

    Args:
        name: under which a point keeps its record.
        what: what the sweep should have done, for the message: "benchmark".

    Raises:
        ContractError: if the file cannot be read, or its sweep did something else.
    """
    try:
        lines = {line["key"]: line for line in map(json.loads, path.read_text(encoding="utf-8").splitlines())}
        found = [line["found"][name] for line in lines.values() if name in line["found"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ContractError(f"the results of a sweep in {path} cannot be read ({error})") from error
    if not found:
        raise ContractError(f"{path} holds no {what}: its sweep did something else, or every point failed")
    return found
