"""What a running evaluation has done so far, one line of JSON an image and subject: a killed run goes on where it was.

The first line, the head, says what is asked. What a head and a line hold is each evaluation's own.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from lightsam.documents import convert, parse_json
from lightsam.errors import ContractError, UsageError
from lightsam.files import WriteError, ensure_writable, reason, write_text

OTHER = "delete it, choose another --output, or say --overwrite"

Head = TypeVar("Head")
Line = TypeVar("Line")


def path_of(output: Path) -> Path:
    """The journal beside a record."""
    return output.with_name(f"{output.stem}.partial.jsonl")


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


def begin(path: Path, head: Any, lines: Sequence[Any]) -> None:
    """Write a journal with what is done already.

    Raises:
        WriteError: if the system refuses.
    """
    write_text(path, "".join(map(_as_text, (head, *lines))))


def append(path: Path, line: Any) -> None:
    """Write one more line down.

    Raises:
        WriteError: if the system refuses.
    """
    try:
        with path.open("a", encoding="utf-8") as lines:
            lines.write(_as_text(line))
    except OSError as error:
        raise WriteError(f"cannot write {path}: {reason(error)}") from error


def read(
    path: Path,
    what: str,
    head: Head,
    kind: type[Line],
    check: Callable[[Sequence[Line]], None],
    *,
    asks: str,
    overwrite: bool,
) -> list[Line]:
    """Lines of the same run; none if there is none that may be continued.

    Args:
        what: it is, for messages.
        head: that it must begin with.
        kind: of its lines.
        check: raises ValueError for lines that do not fit.
        asks: what another head means, in words.
        overwrite: whether the journal of another run may be thrown away.

    Raises:
        ContractError: if it is of another run, and may not be thrown away.
    """
    if not path.exists():
        return []
    try:
        # What has no end of line was not finished.
        first, *rest = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
        if convert(parse_json(first, path, what), type(head), path, what) != head:
            raise ValueError(asks)
        lines = [convert(parse_json(line, path, what), kind, path, what) for line in rest]
        check(lines)
    except (OSError, ValueError) as error:  # a ContractError is a ValueError
        if overwrite:
            return []
        raise ContractError(f"{path} is not of this evaluation ({error}): {OTHER}") from error
    return lines


def began_otherwise(path: Path, subject: str) -> ContractError:
    """The error for lines of other weights or files than those that are evaluated now."""
    return ContractError(f"{path} was begun with other weights or files, or another runtime, of {subject}: {OTHER}")


def _as_text(line: Any) -> str:
    return json.dumps(asdict(line), allow_nan=False) + "\n"
