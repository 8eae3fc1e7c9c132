"""Records of evaluations for people, whichever kind each is of: quality, edges or instances."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightsam.documents import read_json
from lightsam.errors import ContractError

from .edges import page as edges_page
from .edges import record as edges
from .instances import page as instances_page
from .instances import storage as instances
from .page import Section, as_page
from .quality import page as quality_page
from .quality import storage as quality
from .tables import records_as_markdown


@dataclass(frozen=True)
class Kind:
    """One kind of record."""

    what: str
    """What it is, for messages."""
    mark: str
    """A key of its JSON that the other kinds have not."""
    section: Callable[[Any, Path], Section]
    """What is shown of its JSON; the path is for messages. Raises ContractError if it is damaged."""


KINDS = (
    Kind(quality.WHAT, quality.MARK, lambda content, path: quality_page.section(quality.from_json(content, path))),
    Kind(edges.WHAT, edges.MARK, lambda content, path: edges_page.section(edges.from_json(content, path))),
    Kind(
        instances.WHAT, instances.MARK, lambda content, path: instances_page.section(instances.from_json(content, path))
    ),
)
_ANY = " or ".join((", ".join(kind.what for kind in KINDS[:-1]), KINDS[-1].what))


def read(path: Path) -> list[Section]:
    """What is shown of a record, or of a sweep's results (``.jsonl``), which are of quality.

    Raises:
        ContractError: if it is missing, damaged, of another schema or of no kind.
    """
    if path.suffix == ".jsonl":
        return [quality_page.section(one) for one in quality.read_all(path)]
    content = read_json(path, _ANY)
    for kind in KINDS:
        if isinstance(content, dict) and kind.mark in content:
            return [kind.section(content, path)]
    raise ContractError(f"{path} is not {_ANY}: evaluate again with this release")


def markdown(sections: Sequence[Section]) -> str:
    """The tables as GitHub shows them, each record with what must be known of it."""
    return records_as_markdown(sections, lambda one: one.tables, lambda one: one.notes)


WRITERS: dict[str, Callable[[Sequence[Section]], str]] = {".html": as_page, ".md": markdown}
"""The text of a file with all records, by its suffix."""
