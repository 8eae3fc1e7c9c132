"""``lightsam benchmark rewrites``: what the rewritten graphs are worth."""

from pathlib import Path
from typing import Annotated

import typer

from lightsam.cli.console import DownloadBar, err, out, progress
from lightsam.cli.options import AcceptLicense, Weights, examples, names_in
from lightsam.cli.tables import print_tables

EPILOG = examples(
    "lightsam benchmark rewrites",
    "lightsam benchmark rewrites --authors clones --output artifacts/benchmarks/rewrites --overwrite",
    "lightsam benchmark rewrites --model mobile_sam --row encoder --each",
    'lightsam benchmark rewrites --row "one point,conversion" --rounds 30',
)


def rewrites(
    model: Annotated[
        str, typer.Option(metavar="MODEL,...", help="As in `lightsam models`, separated by commas.")
    ] = "mobile_sam,repvit_sam",
    row: Annotated[
        str | None,
        typer.Option(
            metavar="PART,...", help="Rows whose names hold one of these: encoder, onnx, vs authors, peak memory, ..."
        ),
    ] = None,
    authors: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Clones of the authors' repositories, MobileSAM and RepViT, to be compared with; they need "
            "torchvision and timm.",
        ),
    ] = None,
    each: Annotated[bool, typer.Option("--each", help="Also leave out each rewrite alone.")] = False,
    rounds: Annotated[int, typer.Option(help="Rounds of every comparison, at least.")] = 12,
    min_time: Annotated[float, typer.Option(help="Seconds of every comparison, at least.")] = 15,
    threads: Annotated[int, typer.Option(help="Of every runtime, on the CPU.")] = 2,
    weights: Weights = "auto",
    quick: Annotated[
        bool, typer.Option("--quick", help="At the smallest image size, to see that everything runs.")
    ] = False,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the record, its page and its plots.")] = Path(
        "artifacts/benchmarks/rewrites"
    ),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a record that is there.")] = False,
    accept_license: AcceptLicense = False,
) -> None:
    """Compare exports with the same converter's of the faithful graph, and with the authors' own code.

    Files are timed by turns in one process; write a record, its tables, a page and plots of the operations.
    """
    from lightsam.errors import BenchmarkError
    from lightsam_benchmarks.rewrites import report, writers
    from lightsam_benchmarks.rewrites.rounds import Method
    from lightsam_benchmarks.rewrites.run import Plan, benchmark
    from lightsam_benchmarks.rewrites.table import rows_of

    plan = Plan(
        rows_of(names_in(model), names_in(row)),
        Method(rounds, min_time, threads=threads),
        weights,
        authors,
        each,
        quick,
        accept_license,
    )
    writers.check(output, overwrite=overwrite)
    with progress(None) as begin:
        record = benchmark(plan, begin, DownloadBar())
    written, missing = writers.write(record, output)
    print_tables(report.tables(record), report.notes(record), [])
    if missing:
        err.print(missing, soft_wrap=True)
    out.print(f"written to {', '.join(map(str, written))}", soft_wrap=True)
    if record.broken:
        raise BenchmarkError(f"{len(record.broken)} of {len(record.results)} rows failed, see the table")
