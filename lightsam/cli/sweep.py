"""``lightsam sweep``: many models, formats, precisions and sizes from one file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from lightsam.cli.console import err, out, progress
from lightsam.cli.options import examples

if TYPE_CHECKING:
    from lightsam_benchmarks.sweep_results import SweepResult

EPILOG = examples(
    "lightsam sweep light_models.toml",
    "lightsam sweep light_models.toml --jobs 2",
    "lightsam sweep compression.toml --report compression.html --report compression.md",
    "lightsam sweep light_models.toml --scheduler tcp://10.0.0.1:8786 --output nightly.jsonl",
)


def sweep(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.toml", help="What to do, with which models, formats, precisions and sizes.")
    ],
    output: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Results, one a line; FILE.jsonl beside FILE by default.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Points at a time, by Dask where it is more than one.")] = 1,
    report: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="Of a tradeoff: its table as .md or .json, or a page with plots as .html; repeatable."
        ),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler that runs already, on whatever machines.")
    ] = None,
) -> None:
    """Export, judge, time or evaluate many combinations; started again, it goes on where it was."""
    from lightsam.errors import BenchmarkError, UsageError
    from lightsam.files import check_suffix
    from lightsam_benchmarks.executor import Executor
    from lightsam_benchmarks.latency.record import OK
    from lightsam_benchmarks.sweep import run_sweep, warning
    from lightsam_benchmarks.sweep_file import TRADEOFF, load_sweep
    from lightsam_benchmarks.tradeoff.writers import WRITERS

    selection, executor = load_sweep(file), Executor(jobs, scheduler)
    if report and selection.work != TRADEOFF:
        raise UsageError(f"--report is of the work {TRADEOFF}, and {file} says {selection.work}")
    for path in report or ():
        check_suffix(path, WRITERS)
    results = output or file.with_suffix(".jsonl")
    if warning(selection, executor):
        err.print(Text(warning(selection, executor), "yellow"), soft_wrap=True)
    with progress(len(selection.points)) as begin:
        begin(f"{selection.work}: {len(selection.points)} points")

        def show(done: "SweepResult") -> None:
            begin(f"{done.key}: {done.status} in {done.seconds:.0f} s")

        found = run_sweep(selection, results, executor, show)
    _print(found)
    out.print(f"written to {results}", soft_wrap=True)
    if selection.work == TRADEOFF and any(done.found for done in found):
        _report(found, report or [])
    failed = [done for done in found if done.status != OK]
    if failed:
        raise BenchmarkError(f"{len(failed)} of {len(found)} points failed, see the table")


def _report(results: "list[SweepResult]", paths: list[Path]) -> None:
    """The table of a tradeoff, on the terminal and in files."""
    from lightsam.cli.tables import print_tables
    from lightsam_benchmarks.tradeoff.record import from_results
    from lightsam_benchmarks.tradeoff.report import notes, tables
    from lightsam_benchmarks.tradeoff.writers import write_report

    record = from_results(results)
    print_tables(tables(record), notes(record), [])
    for path in paths:
        write_report(record, path)
        out.print(f"written to {path}", soft_wrap=True)


def _print(results: "list[SweepResult]") -> None:
    """What became of every point."""
    from lightsam_benchmarks.latency.record import OK

    table = Table("point", "work", "", "seconds", "why")
    for done in results:
        status = Text(done.status, "green" if done.status == OK else "red")
        table.add_row(done.key, done.work, status, f"{done.seconds:.1f}", done.message)
    out.print(table)
