"""``lightsam benchmark``: latency of every stage on every unit."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from lightsam.cli.console import DownloadBar, err, out, progress
from lightsam.cli.groups import RUN, RunByDefault
from lightsam.cli.options import AcceptLicense, examples, names_in
from lightsam.cli.tables import print_tables
from lightsam_exporters.formats import FORMATS

if TYPE_CHECKING:
    from lightsam_benchmarks.latency.compare import Change
    from lightsam_benchmarks.latency.interleaved import Versus
    from lightsam_benchmarks.latency.plan import Selection, Task
    from lightsam_benchmarks.latency.timing import Method

_EPILOG = examples(
    "lightsam benchmark artifacts/mobile_sam",
    "lightsam benchmark artifacts/mobile_sam artifacts/repvit_sam --format torch,onnx,tflite",
    "lightsam benchmark artifacts/mobile_sam --format onnx --unit CUDA --threads 4",
    "lightsam benchmark artifacts/mobile_sam --format coreml --unit CPU_ONLY,CPU_AND_NE,ALL",
    "lightsam benchmark artifacts/mobile_sam --format torch,onnx --stage everything --warmup 0",
    "lightsam benchmark artifacts/mobile_sam/onnx-float32 --vs artifacts/mobile_sam/tflite-float32",
)


app = typer.Typer(
    cls=RunByDefault,
    help="Latency of every stage on every unit; [bold]lightsam benchmark DIR...[/bold] measures.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


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
        typer.Option("--format", help=f"torch, {', '.join(FORMATS)}, separated by commas; all by default."),
    ] = None,
    precision: Annotated[str | None, typer.Option(help="Time this precision alone.")] = None,
    unit: Annotated[
        str | None, typer.Option(help="CPU, CUDA, CPU_AND_NE, ..., separated by commas; all that is here by default.")
    ] = None,
    stage: Annotated[
        str, typer.Option(help="encoder, decoder, pair (both, a few prompts), everything (in an image); by commas.")
    ] = "encoder,decoder,pair",
    weights: Annotated[
        str | None, typer.Option(help="Checkpoint of the PyTorch model, if it was a file of yours.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="On the CPU; all usable cores by default.")] = None,
    warmup: Annotated[int, typer.Option(help="Calls that are not counted, after the first.")] = 2,
    min_count: Annotated[int, typer.Option(help="Calls that every round counts, at least.")] = 10,
    min_time: Annotated[float, typer.Option(help="Seconds that these calls take together, at least.")] = 1,
    max_time: Annotated[float, typer.Option(help="Stop after these seconds, once three calls are counted.")] = 60,
    rounds: Annotated[int, typer.Option(help="How often everything is measured, each time in fresh processes.")] = 3,
    timeout: Annotated[float, typer.Option(help="Seconds after which a process is stopped.")] = 900,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="The record; by default a new one in DIR/../benchmarks."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a record that is there.")] = False,
    accept_license: AcceptLicense = False,
) -> None:
    """Time every stage, and both together, each in a fresh process; write a record and a page."""
    from lightsam_benchmarks.latency.plan import Selection
    from lightsam_benchmarks.latency.timing import Method

    method = Method(warmup, min_count, min_time, max_time, rounds, threads, timeout)
    selection = Selection(names_in(format_name) or None, precision, names_in(unit) or None, names_in(stage), weights)
    if vs is not None:
        _refuse_what_vs_ignores(output=output, overwrite=overwrite, weights=weights)
        _versus(folders, vs, selection, method)
    else:
        _run(folders, selection, method, output, overwrite, accept_license)


def _run(
    folders: list[Path],
    selection: "Selection",
    method: "Method",
    output: Path | None,
    overwrite: bool,
    accept_license: bool,
) -> None:
    import datetime

    from lightsam.errors import ArtifactExistsError, BenchmarkError
    from lightsam.files import ensure_writable
    from lightsam_benchmarks.latency import record, report
    from lightsam_benchmarks.latency.plan import planned
    from lightsam_benchmarks.latency.run import benchmark
    from lightsam_exporters.parity.reference import References

    if output is None:
        name = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S.json")
        output = folders[0].resolve().parent / "benchmarks" / name
    _check_json(output)
    if output.exists() and not overwrite:
        raise ArtifactExistsError(f"{output} is there already: choose another --output, or say --overwrite")
    with planned(folders, selection, method, References(DownloadBar(), accept_license=accept_license)) as (
        tasks,
        refused,
    ):
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
    from lightsam_benchmarks.latency.writers import write_report

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


def _versus(folders: list[Path], other: Path, selection: "Selection", method: "Method") -> None:
    from lightsam.errors import UsageError
    from lightsam_benchmarks.latency.interleaved import versus
    from lightsam_benchmarks.latency.plan import paired

    if len(folders) != 1:
        raise UsageError("--vs takes one DIR: give two folders, A --vs B")
    with paired(folders[0], other, selection, method) as pairs, progress(len(pairs)) as begin:
        found = [(a, b, versus(a, b, method, begin)) for a, b in pairs]
    _print_versus(found)


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
        typer.Option(metavar="FILE", help=".html for people, .md for a page; RUN.html by default. Repeatable."),
    ] = None,
) -> None:
    """Print the tables of records, and write them as a page with plots."""
    from lightsam.files import check_suffix
    from lightsam_benchmarks.latency import record
    from lightsam_benchmarks.latency.report import notes, sources, tables
    from lightsam_benchmarks.latency.writers import WRITERS, write_report

    for path in output or ():
        check_suffix(path, WRITERS)
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
    from lightsam_benchmarks.latency import record
    from lightsam_benchmarks.latency.compare import compare as compare_records
    from lightsam_benchmarks.latency.compare import differing_settings

    before, after = record.read(old), record.read(new)
    changes = compare_records(before, after)
    _print_changes(changes, differing_settings(before, after), margin)
    past = [change for change in changes if change.is_past(margin)]
    if past:
        raise BenchmarkError(f"{len(past)} of {len(changes)} became slower by more than {margin:.0%} or no longer run")


def _print_versus(found: "list[tuple[Task, Task, list[Versus]]]") -> None:
    """What two sides take, and the ratio."""
    from lightsam_benchmarks.latency.report import milliseconds, parity

    columns = ("A", "B", "stage", "unit", "what", "A ms", "B ms", "B / A", "95 % interval", "turns", "")
    table = Table(*columns, caption="parity in brackets")
    for a, b, rows in found:
        for row in rows:
            ratio = row.ratio
            faster = "B" if ratio.value < 1 else "A"
            verdict = "no difference beyond noise" if ratio.is_noise else f"{faster} is faster"
            table.add_row(
                *(f"{side.subject.title} ({parity(side.result())})" for side in (a, b)),
                row.scope,
                a.job.unit,
                row.name,
                milliseconds(row.a.median_ms),
                milliseconds(row.b.median_ms),
                f"{ratio.value:.3f}",
                f"{ratio.low:.3f} to {ratio.high:.3f}",
                str(row.turns),
                verdict,
            )
    out.print(table)


def _print_changes(changes: "list[Change]", differing: list[str], margin: float) -> None:
    """What two records have in common, and how it changed."""
    from lightsam_benchmarks.latency.report import milliseconds

    columns = ("model", "export", "stage", "unit", "what", "old ms", "new ms", "new / old", "95 % interval", "")
    table = Table(*columns, caption=f"margin {margin:.0%}; same: within the noise of both runs")
    for change in changes:
        old, ratio = change.old, change.ratio
        before = old.summaries[change.name].median_ms if change.name else None
        table.add_row(
            old.subject.name,
            old.subject.export,
            old.scope,
            old.unit.requested,
            change.name,
            "" if before is None else milliseconds(before),
            "" if before is None or ratio is None else milliseconds(before * ratio.value),
            "" if ratio is None else f"{ratio.value:.3f}",
            "" if ratio is None else f"{ratio.low:.3f} to {ratio.high:.3f}",
            " ".join(filter(None, (change.verdict, change.message))),
            style="red" if change.is_past(margin) else None,
        )
    out.print(table)
    for line in differing:
        out.print(f"- differs: {line}", soft_wrap=True)
