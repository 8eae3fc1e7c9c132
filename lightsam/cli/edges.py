"""``lightsam evaluate edges``: zero-shot edges against the boundaries that people drew."""

from pathlib import Path
from typing import Annotated

import typer

from lightsam.cli import evaluations
from lightsam.cli.console import out
from lightsam.cli.options import AcceptLicense, Numerics, Unit, examples
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

EPILOG = examples(
    "lightsam evaluate edges mobile_sam --bsds groundTruth/test --images images/test --output edges.json",
    "lightsam evaluate edges mobile_sam artifacts/mobile_sam --format onnx --bsds groundTruth/test "
    "--images images/test --limit 20 --output edges.json --plot edges.svg",
)


def edges(
    subjects: Subjects,
    bsds: Annotated[Path, typer.Option(metavar="DIR", help="Boundaries: BSDS500's .mat files.")],
    images: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the images.")],
    output: Annotated[Path, typer.Option(metavar="FILE.json", help="The record.")],
    limit: Annotated[int | None, typer.Option(help="Evaluate this many images, drawn by the seed.")] = None,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
    boundary: Annotated[
        str, typer.Option(help="Whose pixels a mask's edge is made of: outer, inner or both.")
    ] = "both",
    border: Annotated[int, typer.Option(help="Pixels along the image's edge that are set to zero.")] = 5,
    smoothing: Annotated[
        float, typer.Option(help="Standard deviation of the Gaussian before edge NMS, in pixels; 0 for none.")
    ] = 1.0,
    nms: Annotated[str, typer.Option(help="How edges are thinned: ridge or none.")] = "ridge",
    weights: SubjectWeights = None,
    image_size: SubjectSize = None,
    format_name: SubjectFormats = None,
    precision: SubjectPrecision = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also precision over recall: a plot (.svg), or a page with tables (.html)."),
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
    """Find edges by the masks of everything, and score them as BSDS500 does; a killed run goes on where it was."""
    from importlib.util import find_spec

    from lightsam.errors import FormatUnavailableError
    from lightsam.files import check_suffix, ensure_writable, write_by_suffix
    from lightsam_benchmarks.edges import report, truth
    from lightsam_benchmarks.edges.recipe import Recipe
    from lightsam_benchmarks.edges.run import Edges
    from lightsam_benchmarks.edges.writers import WRITERS
    from lightsam_benchmarks.evaluations import Asked
    from lightsam_benchmarks.quality.evaluation import BSDS, POINT, Evaluation

    recipe = Recipe(boundary=boundary, border=border, smoothing=smoothing, nms=nms)
    points = Evaluation(BSDS, bsds, images, (POINT,), limit=limit, seed=seed)
    needed = {"scipy": "evaluate"}
    if plot is not None:
        check_suffix(plot, WRITERS)
        needed["matplotlib"] = "plots"
    for package, extra in needed.items():
        if find_spec(package) is None:
            raise FormatUnavailableError.for_extra(extra, package)
    evaluations.check_output(output, overwrite)
    loading = loading_of(
        weights=weights, image_size=image_size, format_name=format_name, precision=precision, unit=unit,
        numerics=numerics, threads=threads, accept_license=accept_license,
    )  # fmt: skip
    executor = evaluations.executor_of(shards, jobs, scheduler)
    asked = Asked(tuple(subjects), (), loading, points)
    candidates, pairs = asked.candidates()
    if shards is not None:  # other processes read them, whose current folder may be another
        bsds, images = bsds.absolute(), images.absolute()
    data = truth.read(bsds, images).sampled(limit, seed)
    if shards is None:
        data.check_images()
    for path in (output, plot):
        if path is not None:
            ensure_writable(path.parent)
    record = evaluations.run(
        asked, candidates, pairs, Edges(data, recipe, limit, seed), output,
        shards=shards, executor=executor, overwrite=overwrite,
    )  # fmt: skip
    print_tables(report.tables(record), report.notes(record), [])
    written = [output]
    if plot is not None:
        write_by_suffix(plot, WRITERS, record)
        written.append(plot)
    out.print(f"written to {' and '.join(map(str, written))}", soft_wrap=True, markup=False)
