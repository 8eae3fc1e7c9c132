"""What a running evaluation has done so far, one line an image and subject: a killed run goes on where it was."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lightsam import __version__
from lightsam.errors import ContractError, UsageError
from lightsam.files import WriteError, ensure_writable, reason, write_text

from .dataset import DataSet
from .evaluation import Evaluation
from .predictions import Scores

_OTHER = "delete it, choose another --output, or say --overwrite"


def digest(evaluation: Evaluation, data_sha256: str) -> str:
    """Of everything that changes a score, but for the subjects' weights and files, which each line carries itself."""
    rules = (evaluation.settings, evaluation.clicks, evaluation.seed, evaluation.rules)
    return hashlib.sha256(repr((__version__, rules, data_sha256)).encode()).hexdigest()


def path_of(output: Path) -> Path:
    """The journal beside a record."""
    return output.with_name(f"{output.stem}.partial.jsonl")


class Journal:
    """The lines of one run."""

    def __init__(self, path: Path, lines: list[dict[str, Any]]) -> None:
        self._path = path
        self._lines = {(line["subject"], line["image"]): line for line in lines}

    def check(self, subject: str, sha256: str) -> None:
        """Make sure that what was done was done with the same weights and files.

        Raises:
            ContractError: if not.
        """
        for (name, _), line in self._lines.items():
            if name == subject and line["sha256"] != sha256:
                raise ContractError(
                    f"{self._path} was begun with other weights or files, or another runtime, of {subject}: {_OTHER}"
                )

    def scores(self, subject: str, image: str) -> dict[str, Scores] | None:
        """What was done already."""
        line = self._lines.get((subject, image))
        return None if line is None else {kind: Scores(**one) for kind, one in line["scores"].items()}

    def worst(self, subject: str) -> list[dict[str, Any]]:
        """Answers of a subject that were kept to be drawn."""
        return [kept for (name, _), line in self._lines.items() if name == subject for kept in line["worst"]]

    def add(
        self, subject: str, sha256: str, image: str, scores: dict[str, Scores], worst: list[dict[str, Any]]
    ) -> None:
        """Write one image's scores down.

        Raises:
            WriteError: if the system refuses.
        """
        told = {kind: asdict(one) for kind, one in scores.items()}
        line = {"subject": subject, "sha256": sha256, "image": image, "scores": told, "worst": worst}
        try:
            with self._path.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(line, allow_nan=False) + "\n")
        except OSError as error:
            raise WriteError(f"cannot write {self._path}: {reason(error)}") from error
        self._lines[subject, image] = line


@contextmanager
def opened(output: Path, run: str, data: DataSet, subjects: Sequence[str], overwrite: bool) -> Iterator[Journal]:
    """The journal of a run, begun or continued; it is gone when the block ends well.

    A run may be continued with more subjects than it began with.

    Args:
        output: the record that the run will write.
        run: `digest` of what it asks.
        subjects: names of those that are evaluated.
        overwrite: whether the journal of another run may be thrown away.

    Raises:
        ContractError: if there is one of another run.
        UsageError: if another process is at it.
        WriteError: if nothing can be written there.
    """
    path = path_of(output)
    ensure_writable(path.parent)
    try:
        with FileLock(f"{path}.lock", timeout=0):
            lines = _lines(path, run, data, subjects, overwrite)
            if lines is None:
                write_text(path, json.dumps({"evaluation": run}) + "\n")
            else:
                write_text(path, "".join(json.dumps(line) + "\n" for line in [{"evaluation": run}, *lines]))
            yield Journal(path, lines or [])
            path.unlink()
    except Timeout as error:
        raise UsageError(f"another evaluation is writing {output}: wait for it, or choose another --output") from error
    finally:
        Path(f"{path}.lock").unlink(missing_ok=True)


def _lines(
    path: Path, run: str, data: DataSet, subjects: Sequence[str], overwrite: bool
) -> list[dict[str, Any]] | None:
    """Lines of the same run; None if there is none that may be continued."""
    if not path.exists():
        return None
    try:
        # What has no end of line was not finished.
        head, *rest = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
        if json.loads(head)["evaluation"] != run:
            raise ValueError("it asks something else, or of other data")
        lines = [json.loads(line) for line in rest]
        if not all({"subject", "sha256", "image", "scores", "worst"} <= set(line) for line in lines):
            raise ValueError("a line is damaged")
        if not {line["image"] for line in lines} <= {sample.name for sample in data.samples}:
            raise ValueError("it names an image that is not in the data")
        left_out = {line["subject"] for line in lines} - set(subjects)
        if left_out:
            raise ValueError(f"it began with {', '.join(sorted(left_out))}, too")
    except (OSError, ValueError, KeyError, TypeError) as error:
        if overwrite:
            return None
        raise ContractError(f"{path} is not of this evaluation ({error}): {_OTHER}") from error
    return lines
