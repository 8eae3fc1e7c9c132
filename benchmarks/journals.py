"""What a running evaluation has done so far, one line of JSON an image and subject: a killed run goes on where it was.

The first line, the head, says what is asked. What a head and a line hold is each evaluation's own, its `Form`.
"""

import json
import shutil
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from filelock import FileLock, Timeout

from lightsam.documents import convert, parse_json
from lightsam.errors import ArtifactExistsError, ContractError, UsageError
from lightsam.files import WriteError, ensure_writable, reason, write_text

_OTHER = "delete it, choose another --output, or say --overwrite"


class Line(Protocol):
    """What one subject did on one image; a dataclass."""

    @property
    def subject(self) -> str:
        """Its name."""

    @property
    def sha256(self) -> str:
        """Of its weights and files, and what runs them."""

    @property
    def key(self) -> str:
        """Of the image: its name in the run."""

    @property
    def image_sha256(self) -> str:
        """Of the image's file."""


L = TypeVar("L", bound=Line)


@dataclass(frozen=True)
class Form(Generic[L]):
    """What the journal of a run holds."""

    what: str
    """What it is, for messages."""
    asks: str
    """What it means, in words, if it begins otherwise."""
    head: Any
    """What it begins with; a dataclass."""
    line: type[L]
    """Kind of its lines."""
    images: Container[str]
    """Keys that a line may have."""
    check: Callable[[L], None]
    """Raises ValueError for a line that does not fit the data."""


def path_of(output: Path) -> Path:
    """The journal beside a record."""
    return output.with_name(f"{output.stem}.partial.jsonl")


def folder_of(output: Path) -> Path:
    """Where the journals of a record's shards are."""
    return output.with_name(f"{output.stem}.shards")


def refuse_other(path: Path, what: str, overwrite: bool) -> None:
    """Make sure that a run of the other kind left nothing for the same record; what it left goes with ``overwrite``.

    Raises:
        ArtifactExistsError: if it left something.
    """
    if path.exists() and not overwrite:
        raise ArtifactExistsError(f"{path} is of {what}: go on with that, or say --overwrite")
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(output: Path, patience: float = 0) -> Iterator[None]:
    """Keep other processes away from what is written for ``output`` until the block ends.

    Args:
        patience: seconds to wait for another process.

    Raises:
        UsageError: if another process is at it.
        WriteError: if nothing can be written there.
    """
    lock = Path(f"{path_of(output)}.lock")
    ensure_writable(lock.parent)
    held = False
    try:
        with FileLock(lock, timeout=patience):
            yield
    except Timeout as error:
        held = True
        raise UsageError(f"another evaluation is writing {output}: wait for it, or choose another --output") from error
    finally:
        if not held:  # by another process, which would lose its lock
            lock.unlink(missing_ok=True)


def opened(path: Path, form: Form[L], subjects: Collection[str], *, overwrite: bool) -> "Journal[L]":
    """The journal of a run, begun, or continued without a line that a kill left unfinished.

    A run may be continued with more subjects than it began with.

    Args:
        subjects: names of those that are evaluated.
        overwrite: whether the journal of another run may be thrown away.

    Raises:
        ContractError: if it is of another run, and may not be thrown away.
        WriteError: if nothing can be written there.
    """
    journal = Journal(path, form, read(path, form, subjects, overwrite=overwrite))
    journal.write()
    return journal


def read(path: Path, form: Form[L], subjects: Collection[str], *, overwrite: bool) -> list[L]:
    """Lines of the same run; none if there is none that may be continued.

    Args:
        subjects: names of those that are evaluated.
        overwrite: whether the journal of another run may be thrown away.

    Raises:
        ContractError: if it is of another run, and may not be thrown away.
    """
    if not path.exists():
        return []
    try:
        # What has no end of line was not finished.
        first, *rest = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
        if convert(parse_json(first, path, form.what), type(form.head), path, form.what) != form.head:
            raise ValueError(form.asks)
        lines = [convert(parse_json(line, path, form.what), form.line, path, form.what) for line in rest]
        for line in lines:
            if line.key not in form.images:
                raise ValueError(f"it names an image that is not in the data: {line.key}")
            form.check(line)
        left_out = {line.subject for line in lines} - set(subjects)
        if left_out:
            raise ValueError(f"it began with {', '.join(sorted(left_out))}, too")
    except (OSError, ValueError) as error:  # a ContractError is a ValueError
        if overwrite:
            return []
        raise ContractError(f"{path} is not of this evaluation ({error}): {_OTHER}") from error
    return lines


def of_same(path: Path, lines: Sequence[L], identities: Mapping[str, str], *, overwrite: bool) -> list[L]:
    """Lines of the weights, files and runtimes that are evaluated now.

    Args:
        path: of their journal, for the message.
        identities: `Line.sha256` of subjects as they are now, by their names; other subjects are not looked at.
        overwrite: whether the others may be thrown away.

    Raises:
        ContractError: if there are others, and they may not be thrown away.
    """
    kept = []
    for line in lines:
        if identities.get(line.subject, line.sha256) == line.sha256:
            kept.append(line)
        elif not overwrite:
            raise ContractError(
                f"{path} was begun with other weights or files, or another runtime, of {line.subject}: {_OTHER}"
            )
    return kept


class Journal(Generic[L]):
    """The lines of one run."""

    def __init__(self, path: Path, form: Form[L], lines: Sequence[L]) -> None:
        """Lines that are in the file already, or will be with `write`."""
        self._path, self._form = path, form
        self._lines = {(line.subject, line.key): line for line in lines}

    def write(self) -> None:
        """Write all lines down, in the place of what is there.

        Raises:
            WriteError: if the system refuses.
        """
        write_text(self._path, "".join(map(_as_text, (self._form.head, *self._lines.values()))))

    def add(self, line: L) -> None:
        """Write one more line down.

        Raises:
            WriteError: if the system refuses.
        """
        try:
            with self._path.open("a", encoding="utf-8") as lines:
                lines.write(_as_text(line))
        except OSError as error:
            raise WriteError(f"cannot write {self._path}: {reason(error)}") from error
        self._lines[line.subject, line.key] = line

    def check(self, subject: str, sha256: str, *, overwrite: bool = False) -> None:
        """Make sure that what was done was done with the same weights and files.

        Args:
            sha256: `Line.sha256` of the subject as it is now.
            overwrite: whether what was done with others may be thrown away.

        Raises:
            ContractError: if it was not, and may not be thrown away.
            WriteError: if the system refuses.
        """
        lines = list(self._lines.values())
        kept = of_same(self._path, lines, {subject: sha256}, overwrite=overwrite)
        if len(kept) < len(lines):
            self._lines = {(line.subject, line.key): line for line in kept}
            self.write()

    def line(self, subject: str, key: str) -> L | None:
        """What was done already on an image; None if it was not."""
        return self._lines.get((subject, key))

    def lines(self, subject: str, keys: Iterable[str]) -> list[L]:
        """What a subject did on images, in their order; those that are not done are passed over."""
        found = (self.line(subject, key) for key in keys)
        return [line for line in found if line is not None]


def _as_text(line: Any) -> str:
    return json.dumps(asdict(line), allow_nan=False) + "\n"
