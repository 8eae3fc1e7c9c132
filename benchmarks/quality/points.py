"""An evaluation as a sweep's work: the table ``[evaluate]`` of its TOML file, and what is done at one point."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightsam.errors import UsageError

from .evaluation import KINDS, Evaluation
from .storage import as_text
from .subjects import Candidate

TABLE = "evaluate"
_KEYS: dict[str, type] = {
    **dict.fromkeys(KINDS, str),
    "images": str,
    "prompts": list,
    "clicks": int,
    "limit": int,
    "seed": int,
    "protocol": str,
    "annotator": str,
    "drop_empty": bool,
}


def load(path: Path, table: Mapping[str, Any] | None) -> Evaluation:
    """What the table of a sweep asks; its keys are the command's options.

    Args:
        path: of the sweep, for messages.
        table: None if it has none.

    Raises:
        UsageError: for a key or value that cannot be; the message has the key.
    """
    if not table:
        raise UsageError(f"the sweep {path} must say what to evaluate on: a table [{TABLE}]")
    for name, value in table.items():
        if name not in _KEYS:
            raise UsageError(f"the sweep {path} has no key {TABLE}.{name}; there are: {', '.join(sorted(_KEYS))}")
        if type(value) is not _KEYS[name]:
            raise UsageError(f"the sweep {path} says {TABLE}.{name} = {value!r}, which is no {_KEYS[name].__name__}")
    kinds = [kind for kind in KINDS if kind in table]
    if len(kinds) != 1 or "images" not in table:
        raise UsageError(
            f"the sweep {path} must say {TABLE}.images, and one of {', '.join(KINDS)}, for the ground truth"
        )
    given = {name: value for name, value in table.items() if name not in (*KINDS, "images", "prompts")}
    if "prompts" in table:
        given["prompts"] = tuple(table["prompts"])
    return Evaluation(kinds[0], Path(table[kinds[0]]), Path(table["images"]), **given)


def evaluate_one(candidate: Candidate, evaluation: Evaluation) -> dict[str, Any]:
    """The record of one subject, as JSON holds it."""
    from .dataset import load as load_data
    from .run import evaluate
    from .subjects import check_slots

    check_slots([candidate], evaluation)
    data = load_data(evaluation)
    with tempfile.TemporaryDirectory() as folder:
        outcome = evaluate([candidate], data, evaluation, Path(folder) / "record.json")
    return json.loads(as_text(outcome.record))
