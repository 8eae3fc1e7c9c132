"""``lightsam benchmark`` and ``lightsam sweep``: what things cost."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lightsam.cli_groups import RUN, RunByDefault
from lightsam.cli_weights import examples
from lightsam.terminal import (
    DownloadBar,
    err,
    out,
    print_changes,
    print_sweep,
    print_tables,
    print_versus,
    progress,
)

if TYPE_CHECKING:
    from lightsam_benchmarks.plan import Asked
    from lightsam_benchmarks.timing import Method

_EPILOG = examples(
    "lightsam benchmark artifacts/mobile_sam",
    "lightsam benchmark artifacts/mobile_sam artifacts/repvit_sam --format torch,onnx,tflite",
    "lightsam benchmark artifacts/mobile_sam --format onnx --unit CUDA --threads 4",
    "lightsam benchmark artifacts/mobile_sam --format coreml --unit CPU_ONLY,CPU_AND_NE,ALL",
    "lightsam benchmark artifacts/mobile_sam/onnx-float32 --vs artifacts/mobile_sam/tflite-float32",
)


app = typer.Typer(
    cls=RunByDefault,
    help="Latency of every stage on every unit; [bold]lightsam benchmark DIR...[/bold] measures.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="benchmark")
    root.command(epilog=_SWEEP_EPILOG)(sweep)


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(part.strip() for part in text.split(","))


@app.command(name=RUN, epilog=_EPILOG)
def run(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Models' folders, each with its manifest.json.")
    ],
    vs: Annotated[
        Path | None,
        typer.Option(
            "--vs",
            metavar="OTHER",
            help="Time DIR against OTHER by turns, and give the ratio.",
        ),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option("--format", help="torch, onnx, tflite, coreml, coreai, separated by commas; all by default."),
    ] = None,
    precision: Annotated[str | None, typer.Option(help="Time this precision alone.")] = None,
    unit: Annotated[
        str | None, typer.Option(help="CPU, CUDA, CPU_AND_NE, ..., separated by commas; all that is here by default.")
    ] = None,
    stage: Annotated[str, typer.Option(help="What is timed, separated by commas.")] = "encoder,decoder,pair",
    weights: Annotated[
        str | None, typer.Option(help="Checkpoint of the PyTorch model, if it was a file of yours.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="On the CPU; all usable cores by default.")] = None,
    warmup: Annotated[int, typer.Option(help="Calls that are not counted, after the first.")] = 2,
    min_count: Annotated[int, typer.Option(help="Calls that are counted at least, in every round.")] = 10,
    min_time: Annotated[float, typer.Option(help="Seconds that they take at least, in every round.")] = 1,
    max_time: Annotated[float, typer.Option(help="Seconds after which three calls are enough.")] = 60,
    rounds: Annotated[int, typer.Option(help="Times that everything is measured, each in fresh processes.")] = 3,
    timeout: Annotated[float, typer.Option(help="Seconds that one process may take in all.")] = 900,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="The record; by default a new one in DIR/../benchmarks."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a record that is there.")] = False,
) -> None:
    """Time every stage, and both together, each in a fresh process; write a record and a page."""
    from lightsam_benchmarks.plan import Asked
    from lightsam_benchmarks.timing import Method

    method = Method(warmup, min_count, min_time, max_time, rounds, threads, timeout)
    asked = Asked(_names(format_name), precision, _names(unit), _names(stage) or (), weights)
    if vs is not None:
        _refuse_what_vs_ignores(output=output, overwrite=overwrite, weights=weights)
        _versus(folders, vs, asked, method)
    else:
        _run(folders, asked, method, output, overwrite)


def _run(folders: list[Path], asked: "Asked", method: "Method", output: Path | None, overwrite: bool) -> None:
    import datetime

    from lightsam.errors import ArtifactExistsError, BenchmarkError
    from lightsam.files import ensure_writable
    from lightsam_benchmarks import record, report
    from lightsam_benchmarks.plan import planned
    from lightsam_benchmarks.run import benchmark
    from lightsam_exporters.reference import References

    if output is None:
        name = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S.json")
        output = folders[0].resolve().parent / "benchmarks" / name
    _check_json(output)
    if output.exists() and not overwrite:
        raise ArtifactExistsError(f"{output} is there already: choose another --output, or say --overwrite")
    with planned(folders, asked, method, References(DownloadBar())) as (tasks, refused):
        ensure_writable(output.parent)  # before anything takes time
        with progress(len(tasks) * method.rounds) as begin:
            measured = benchmark(tasks, method, refused, begin)
    record.write(measured, output)
    print_tables(report.tables([measured]), report.notes(measured), report.sources([measured]))
    written = [output, *_page([measured], output.with_suffix(".html"))]
    out.print(f"written to {' and '.join(map(str, written))}", soft_wrap=True)
    broken = [one for one in measured.results if one.status not in (record.OK, record.UNAVAILABLE)]
    if broken:
        raise BenchmarkError(f"{len(broken)} of {len(measured.results)} measurements failed, see the table")


def _page(records: list[Any], path: Path) -> list[Path]:
    """Write the page where matplotlib is there; without it a measurement is none the worse."""
    from lightsam.errors import FormatUnavailableError
    from lightsam_benchmarks.report import write_report

    try:
        write_report(records, path)
    except FormatUnavailableError as error:
        err.print(f"no page was written: {error}", soft_wrap=True)
        return []
    return [path]


def _check_json(path: Path) -> None:
    from lightsam.errors import UsageError

    if path.suffix != ".json":
        raise UsageError(f"{path} must end in .json: it is the record, and the page lies beside it")


def _refuse_what_vs_ignores(**options: Any) -> None:
    from lightsam.errors import UsageError

    for name, value in options.items():
        if value:
            raise UsageError(f"--{name} changes nothing with --vs, which prints a ratio of two files: leave it out")


def _versus(folders: list[Path], other: Path, asked: "Asked", method: "Method") -> None:
    from lightsam.errors import UsageError
    from lightsam_benchmarks.interleaved import versus
    from lightsam_benchmarks.plan import paired

    if len(folders) != 1:
        raise UsageError("--vs takes one DIR: give two folders, A --vs B")
    with paired(folders[0], other, asked, method) as pairs, progress(len(pairs)) as begin:
        found = [(a, b, versus(a, b, method, begin)) for a, b in pairs]
    print_versus(found)


@app.command(
    epilog=examples(
        "lightsam benchmark report artifacts/benchmarks/20261121-070000.json",
        "lightsam benchmark report mac.json iphone.json --output devices.html --output devices.md",
    )
)
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Records, or a sweep's results (.jsonl).")],
    output: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help=".html for people, .md for a README; RUN.html by default. Repeatable."),
    ] = None,
) -> None:
    """Print the tables of records, and write them as a page with plots."""
    from lightsam_benchmarks import record
    from lightsam_benchmarks.report import check_suffix, notes, sources, tables, write_report

    for path in output or ():
        check_suffix(path)
    records = [one for path in runs for one in record.read_all(path)]
    lines = [line for one in records for line in notes(one)]
    print_tables(tables(records), lines, sources(records))
    written = output or [runs[0].with_suffix(".html")]
    for path in written:
        write_report(records, path)
    out.print(f"written to {' and '.join(map(str, written))}", soft_wrap=True)


@app.command(
    epilog=examples(
        "lightsam benchmark compare last-release.json artifacts/benchmarks/20261121-070000.json",
        "lightsam benchmark compare old.json new.json --margin 0.05",
    )
)
def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A record.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="A later one.")],
    margin: Annotated[float, typer.Option(help="Share by which anything may be slower, beyond noise.")] = 0.1,
) -> None:
    """Say what became slower beyond noise; exit status 1 when it is by more than the margin."""
    from lightsam.errors import BenchmarkError
    from lightsam_benchmarks import record
    from lightsam_benchmarks.compare import compare as held
    from lightsam_benchmarks.compare import differing

    before, after = record.read(old), record.read(new)
    changes = held(before, after)
    print_changes(changes, differing(before, after), margin)
    past = [change for change in changes if change.is_past(margin)]
    if past:
        raise BenchmarkError(f"{len(past)} of {len(changes)} became slower by more than {margin:.0%} or no longer run")


_SWEEP_EPILOG = examples(
    "lightsam sweep light_models.toml",
    "lightsam sweep light_models.toml --jobs 2",
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
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler that runs already, on whatever machines.")
    ] = None,
) -> None:
    """Export, judge or time many models, formats, precisions and sizes; started again, it goes on where it was."""
    from lightsam.errors import BenchmarkError
    from lightsam_benchmarks.points import Done, load_sweep
    from lightsam_benchmarks.record import OK
    from lightsam_benchmarks.sweep import Spread, run_sweep, warning

    asked, spread = load_sweep(file), Spread(jobs, scheduler)
    results = output or file.with_suffix(".jsonl")
    if warning(asked, spread):
        err.print(f"[yellow]{warning(asked, spread)}[/yellow]", soft_wrap=True)
    with progress(len(asked.points)) as begin:
        begin(f"{asked.work}: {len(asked.points)} points")

        def show(done: Done) -> None:
            begin(f"{done.key}: {done.status} in {done.seconds:.0f} s")

        found = run_sweep(asked, results, spread, show)
    print_sweep(found)
    out.print(f"written to {results}", soft_wrap=True)
    failed = [done for done in found if done.status != OK]
    if failed:
        raise BenchmarkError(f"{len(failed)} of {len(found)} points failed, see the table")
