"""``lightsam evaluate``: masks against ground truth."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lightsam.cli import edges, evaluations, instances
from lightsam.cli.console import out
from lightsam.cli.groups import RUN, RunByDefault
from lightsam.cli.options import AcceptLicense, Numerics, Unit, examples, names_in
from lightsam.cli.subjects import (
    Jobs,
    OverwriteRecord,
    Scheduler,
    Shards,
    SubjectFormats,
    SubjectPrecision,
    Subjects,
    SubjectSize,
    SubjectWeights,
    Threads,
    loading_of,
)
from lightsam.cli.tables import print_tables

if TYPE_CHECKING:
    from lightsam_benchmarks.quality.evaluation import Evaluation

_EPILOG = examples(
    "lightsam evaluate mobile_sam --coco instances_val2017.json --images val2017 --limit 500 --output coco.json",
    "lightsam evaluate artifacts/mobile_sam --coco zoo.json --images zoo --clicks 5 --output out.json --page out.html",
    "lightsam evaluate mobile_sam --vs artifacts/mobile_sam/onnx-float16 --masks masks --images photos --output o.json",
    "lightsam evaluate artifacts/mobile_sam/onnx-float16 --bsds groundTruth/test --images images/test --output b.json",
    "lightsam evaluate mobile_sam --coco s3://bucket/sa.json --images s3://bucket/sa --shards 1000 --output sa.json",
)

app = typer.Typer(
    cls=RunByDefault,
    help="Masks against ground truth; [bold]lightsam evaluate SUBJECT...[/bold] measures.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.command(epilog=edges.EPILOG)(edges.edges)
app.command(epilog=instances.EPILOG)(instances.instances)


@app.command(name=RUN, epilog=_EPILOG)
def run(
    subjects: Subjects,
    images: Annotated[
        str, typer.Option(metavar="DIR", help="Folder of the images; with --coco also a URL, such as s3://photos/val.")
    ],
    output: Annotated[Path, typer.Option(metavar="FILE.json", help="The record.")],
    coco: Annotated[
        str | None, typer.Option(metavar="FILE.json", help="Ground truth: annotations as COCO's; a path or a URL.")
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Ground truth: STEM.png, a value an object, or STEM_0.png, STEM_1.png, ..."),
    ] = None,
    bsds: Annotated[Path | None, typer.Option(metavar="DIR", help="Ground truth: BSDS500's .mat files.")] = None,
    prompts: Annotated[str, typer.Option(help="box, point, clicks, separated by commas.")] = "box,point",
    clicks: Annotated[int, typer.Option(help="Also this many clicks on each object.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Evaluate this many images, drawn by the seed.")] = None,
    seed: Annotated[int, typer.Option(help="Of the sample, of random clicks and of the intervals.")] = 0,
    protocol: Annotated[
        str, typer.Option(help="Which mask is scored, which box, which clicks: lightsam, efficientvit or edgesam.")
    ] = "lightsam",
    vs: Annotated[
        str | None,
        typer.Option("--vs", metavar="OTHER", help="Another subject; the difference to each, with its interval."),
    ] = None,
    weights: SubjectWeights = None,
    image_size: SubjectSize = None,
    format_name: SubjectFormats = None,
    precision: SubjectPrecision = None,
    annotator: Annotated[str, typer.Option(help="BSDS500: whose regions; a number from 1 on, or all.")] = "1",
    drop_empty: Annotated[
        bool, typer.Option("--drop-empty", help="Leave out objects without a pixel instead of refusing them.")
    ] = False,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Also a page, with the worst answers as images.")
    ] = None,
    shards: Shards = None,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    overwrite: OverwriteRecord = False,
    threads: Threads = None,
    unit: Unit = None,
    numerics: Numerics = "declared",
    accept_license: AcceptLicense = False,
) -> None:
    """Prompt every annotated object, and measure the masks; started again after a kill, it goes on where it was."""
    from lightsam.files import check_suffix, ensure_writable, write_text
    from lightsam_benchmarks.evaluations import Asked
    from lightsam_benchmarks.quality import ground_truth, report
    from lightsam_benchmarks.quality.page import as_html
    from lightsam_benchmarks.quality.run import Quality

    settings = _evaluation(
        coco=coco, masks=masks, bsds=bsds, images=images, prompts=prompts, clicks=clicks, limit=limit, seed=seed,
        protocol=protocol, annotator=annotator, drop_empty=drop_empty,
    )  # fmt: skip
    if shards is not None:  # other processes read them, whose current folder may be another
        settings = replace(settings, truth=settings.truth.absolute(), images=settings.images.absolute())
    if page is not None:
        check_suffix(page, (".html",))
    evaluations.check_output(output, overwrite)
    loading = loading_of(
        weights=weights, image_size=image_size, format_name=format_name, precision=precision, unit=unit,
        numerics=numerics, threads=threads, accept_license=accept_license,
    )  # fmt: skip
    executor = evaluations.executor_of(shards, jobs, scheduler)
    asked = Asked(tuple(subjects), () if vs is None else (vs,), loading, settings)
    candidates, pairs = asked.candidates()
    data = ground_truth.load(settings, check_images=shards is None)
    ensure_writable(output.parent)
    if page is not None:
        ensure_writable(page.parent)
    outcome = evaluations.run(
        asked, candidates, pairs, Quality(data, settings), output,
        shards=shards, executor=executor, overwrite=overwrite,
    )  # fmt: skip
    print_tables(report.tables(outcome.record), report.notes(outcome.record), [])
    written = [output]
    if page is not None:
        write_text(page, as_html([outcome.record], outcome.worst, data))
        written.append(page)
    out.print(f"written to {' and '.join(map(str, written))}", soft_wrap=True, markup=False)


def _evaluation(
    *,
    coco: str | None,
    masks: Path | None,
    bsds: Path | None,
    images: str,
    prompts: str,
    clicks: int,
    limit: int | None,
    seed: int,
    protocol: str,
    annotator: str,
    drop_empty: bool,
) -> "Evaluation":
    from lightsam.errors import UsageError
    from lightsam_benchmarks.quality.evaluation import BSDS, COCO, MASKS, Evaluation
    from lightsam_benchmarks.quality.places import place

    given = {kind: path for kind, path in ((COCO, coco), (MASKS, masks), (BSDS, bsds)) if path is not None}
    if len(given) != 1:
        raise UsageError("give the ground truth as one of --coco FILE.json, --masks DIR and --bsds DIR")
    ((kind, truth),) = given.items()
    return Evaluation(
        kind, place(truth), place(images), names_in(prompts), clicks, limit, seed, protocol, annotator, drop_empty
    )


@app.command(
    epilog=examples(
        "lightsam evaluate compare last-release.json now.json",
        "lightsam evaluate compare mobile_sam.json repvit_sam.json --margin 0.01",
    )
)
def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A record.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Another one, of the same data and protocol.")],
    margin: Annotated[float, typer.Option(help="mIoU that may be lost, beyond noise.")] = 0.002,
) -> None:
    """Say what became worse beyond noise; exit status 1 when it is by more than the margin."""
    from lightsam.errors import EvaluationError
    from lightsam_benchmarks.quality import report, storage
    from lightsam_benchmarks.quality.compare import compare as compare_records
    from lightsam_benchmarks.quality.compare import differing_settings

    before, after = storage.read(old), storage.read(new)
    found = compare_records(before, after)
    print_tables(report.differences(found), [f"differs: {line}" for line in differing_settings(before, after)], [])
    lost = [one for one in found if one.is_lost(margin)]
    if lost:
        raise EvaluationError(f"{len(lost)} of {len(found)} lost more than {margin:g} mIoU, beyond noise")


@app.command(
    epilog=examples(
        "lightsam evaluate report test.json",
        "lightsam evaluate report coco.json edges.json --output evaluations.md --output evaluations.html",
    )
)
def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Records of any evaluation, or a sweep's results (.jsonl).")
    ],
    output: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help=".html for people, .md for a page. Repeatable.")
    ] = None,
) -> None:
    """Print the tables of records, and write them; the worst answers are on the page that a run writes."""
    from lightsam.files import check_suffix, write_text
    from lightsam_benchmarks.reports import WRITERS, read

    for path in output or ():
        check_suffix(path, WRITERS)
    sections = [one for path in runs for one in read(path)]
    for one in sections:
        print_tables(one.tables, one.notes, [])
    texts = [WRITERS[path.suffix](sections) for path in output or ()]  # all of them, before one is written
    for path, text in zip(output or (), texts, strict=True):
        write_text(path, text)
    if output:
        out.print(f"written to {' and '.join(map(str, output))}", soft_wrap=True, markup=False)
