"""Tables of records: shared by ``lightsam benchmark`` and ``lightsam evaluate``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from lightsam.cli.console import out

if TYPE_CHECKING:
    from lightsam_benchmarks.tables import Table as BenchmarkTable


def print_tables(tables: "Sequence[BenchmarkTable]", notes: Sequence[str], sources: Sequence[str]) -> None:
    """The tables of benchmark records, and what must be known of them."""
    for content in tables:
        table = Table(title=content.title)
        for index, name in enumerate(content.columns):
            table.add_column(name, justify="left" if index < content.words else "right")
        for row in content.rows:
            failed = any(cell.startswith("FAILED") for cell in row)
            table.add_row(*row, style="red" if failed else None)
        out.print(table)
    for line in notes:
        out.print(f"- {line}", soft_wrap=True)
    for line in sources:
        out.print(f"- published, {line}", soft_wrap=True)
