"""A table of numbers, whichever way it is shown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

_Record = TypeVar("_Record")


@dataclass(frozen=True)
class Table:
    """A table: its columns, and the cells of every row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int
    """How many of the columns are words; the others are numbers."""


def as_markdown(table: Table, left_out: Sequence[str] = ()) -> str:
    """A table as GitHub shows it, but for the columns of these names."""
    kept = [index for index, name in enumerate(table.columns) if name not in left_out]
    rule = ["---" if index < table.words else "---:" for index in range(len(table.columns))]
    lines = [[cells[index] for index in kept] for cells in (table.columns, rule, *table.rows)]
    return f"{table.title}:\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def records_as_markdown(
    records: Sequence[_Record], tables: Callable[[_Record], Sequence[Table]], notes: Callable[[_Record], Sequence[str]]
) -> str:
    """Records as GitHub shows them, each with its tables and what must be known of it."""
    parts = []
    for record in records:
        parts += [as_markdown(table) for table in tables(record)]
        parts.append("\n".join(f"- {line}" for line in notes(record)))
    return "\n\n".join(parts) + "\n"
