"""``lightsam evaluate instances``: masks for detector boxes, and their average precision."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from lightsam_benchmarks.instances.request import Request

EPILOG = examples(
    "lightsam evaluate instances mobile_sam --annotations instances_val2017.json --images val2017 "
    "--boxes coco_vitdet.json --mask best --output coco.json",
    "lightsam evaluate instances artifacts/mobile_sam/onnx-float32 --annotations test.json --images test "
    "--boxes jittered --output jittered.json",
    "lightsam evaluate instances mobile_sam --sets seginw --output seginw.json",
)


def instances(
    subjects: Subjects,
    output: Annotated[Path, typer.Option(metavar="FILE.json", help="The record.")],
    annotations: Annotated[
        str | None, typer.Option(metavar="FILE.json|URL", help="Ground truth: annotations as COCO's or LVIS's.")
    ] = None,
    boxes: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.json|URL|ground-truth|jittered",
            help="A detector's boxes as COCO's results, the annotations' own, or these moved and scaled.",
        ),
    ] = None,
    images: Annotated[str | None, typer.Option(metavar="DIR|URL", help="Folder of the images.")] = None,
    sets: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Instead of the three: every folder in it is a set of annotations, boxes.json, images."
        ),
    ] = None,
    mask: Annotated[
        str, typer.Option(help="What answers a box: single (mask 0) or best (of three, by predicted IoU).")
    ] = "single",
    shift: Annotated[
        float | None, typer.Option(help="Of jittered boxes: a centre moves by up to this share of the sides; 0.1.")
    ] = None,
    scale: Annotated[
        float | None, typer.Option(help="Of jittered boxes: a side changes by up to this share; 0.1.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Evaluate this many images of a set, drawn by the seed.")] = None,
    seed: Annotated[int, typer.Option(help="Of the sample and of jittered boxes.")] = 0,
    vs: Annotated[
        str | None, typer.Option("--vs", metavar="OTHER", help="Another subject; the difference to each.")
    ] = None,
    weights: SubjectWeights = None,
    image_size: SubjectSize = None,
    format_name: SubjectFormats = None,
    precision: SubjectPrecision = None,
    shards: Shards = None,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    overwrite: OverwriteRecord = False,
    threads: Threads = None,
    unit: Unit = None,
    numerics: Numerics = "declared",
    accept_license: AcceptLicense = False,
) -> None:
    """Ask for the mask of every box, and measure AP; started again after a kill, it goes on where it was."""
    from lightsam.files import ensure_writable
    from lightsam_benchmarks.evaluations import Asked
    from lightsam_benchmarks.instances import report
    from lightsam_benchmarks.instances.run import Instances
    from lightsam_benchmarks.instances.sets import load
    from lightsam_benchmarks.quality.evaluation import BOX, COCO, Evaluation

    request = _request(annotations, boxes, images, sets, mask, shift, scale, limit, seed)
    evaluations.check_output(output, overwrite)
    loading = loading_of(
        weights=weights, image_size=image_size, format_name=format_name, precision=precision, unit=unit,
        numerics=numerics, threads=threads, accept_license=accept_license,
    )  # fmt: skip
    first = request.sets[0]
    boxes_alone = Evaluation(COCO, first.annotations, first.images, (BOX,))
    executor = evaluations.executor_of(shards, jobs, scheduler)
    asked = Asked(tuple(subjects), () if vs is None else (vs,), loading, boxes_alone)
    candidates, pairs = asked.candidates()
    if shards is not None:  # other processes read them, whose current folder may be another
        files = tuple(replace(one, images=one.images.absolute()) for one in request.sets)
        request = replace(request, sets=files)
    task = Instances(load(request, check_images=shards is None), request)
    ensure_writable(output.parent)
    record = evaluations.run(
        asked, candidates, pairs, task, output, shards=shards, executor=executor, overwrite=overwrite
    )  # fmt: skip
    print_tables(report.tables(record), report.notes(record), [])
    out.print(f"written to {output}", soft_wrap=True, markup=False)


def _request(
    annotations: str | None,
    boxes: str | None,
    images: str | None,
    sets: Path | None,
    mask: str,
    shift: float | None,
    scale: float | None,
    limit: int | None,
    seed: int,
) -> "Request":
    from lightsam.errors import UsageError
    from lightsam_benchmarks.instances import request
    from lightsam_benchmarks.instances.sets import BOXES, find
    from lightsam_benchmarks.quality.places import place

    made = boxes in (request.GROUND_TRUTH, request.JITTERED)
    kind = boxes if made and boxes is not None else request.DETECTIONS
    if kind != request.JITTERED and (shift, scale) != (None, None):
        raise UsageError("--shift and --scale are of --boxes jittered, which is not asked for")
    passed_over: tuple[str, ...] = ()
    if sets is not None:
        if annotations is not None or images is not None:
            raise UsageError("--sets has annotations and images of its own: leave --annotations and --images out")
        if boxes is not None and not made:
            raise UsageError(f"--sets takes each set's {BOXES}: leave --boxes out, or say ground-truth or jittered")
        files, passed_over = find(sets, kind)
    elif annotations is None or images is None or boxes is None:
        raise UsageError("give --annotations FILE.json, --boxes and --images DIR; or --sets DIR")
    else:
        truth = place(annotations)
        files = (request.SetFiles(truth.name, truth, place(images), None if made else place(boxes)),)
    return request.Request(
        sets=files,
        boxes=kind,
        mask=mask,
        limit=limit,
        seed=seed,
        shift=request.SHIFT if shift is None else shift,
        scale=request.SCALE if scale is None else scale,
        passed_over=passed_over,
    )
