"""``lightsam parity``: judging what is there."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from lightsam.cli.console import DownloadBar, out, progress
from lightsam.cli.judgement import print_bisection, print_report
from lightsam.cli.options import AcceptLicense, Numerics, Unit, examples

if TYPE_CHECKING:
    from lightsam_exporters.parity.report import Judged

EPILOG = examples(
    "lightsam parity artifacts/mobile_sam",
    "lightsam parity artifacts/mobile_sam --format onnx --precision float16 --every",
    "lightsam parity artifacts/mobile_sam --suite my_images --weights my_checkpoint.pt",
    "lightsam parity artifacts/mobile_sam --suite quick --gate psnr_db=60 --gate mask_iou=0.99",
    "lightsam parity artifacts/mobile_sam --format coreml --suite quick --bisect --threshold 60",
    "lightsam parity artifacts/mobile_sam --suite quick --baseline last-release.json --report junit.xml",
    "lightsam parity artifacts/mobile_sam --suite quick --bisect --report report.html",
    "lightsam parity last-release/mobile_sam artifacts/mobile_sam",
    "lightsam parity artifacts/mobile_sam/onnx-float32 artifacts/mobile_sam/coreml-float16",
)


def parity(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="A model's folder, or that of one export."),
    ],
    other: Annotated[
        Path | None,
        typer.Argument(metavar="[OTHER]", help="Judge OTHER against DIR's files, and not DIR against PyTorch."),
    ] = None,
    format_name: Annotated[str | None, typer.Option("--format", help="Judge this format alone.")] = None,
    precision: Annotated[str | None, typer.Option(help="Judge this precision alone.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="Checkpoint that the files were made from, if it was a file of yours.")
    ] = None,
    suite: Annotated[
        str,
        typer.Option(
            help="Photographs and prompts: quick, default, a JSON file of your own, or a folder of images.",
            metavar="quick|default|PATH",
        ),
    ] = "default",
    gate: Annotated[
        list[str] | None,
        typer.Option(
            help="Replace a number of the gate: psnr_db, mask_iou, boundary_iou, iou_tolerance, rounding. Repeatable.",
            metavar="NAME=NUMBER",
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--every", help="A row for every prompt, not for the worst alone.")] = False,
    bisect: Annotated[
        bool, typer.Option("--bisect", help="Name the first operation that leaves PyTorch (Core ML and ONNX).")
    ] = False,
    threshold: Annotated[
        float | None, typer.Option(help="With --bisect: PSNR in dB below which an operation is off; the gate's.")
    ] = None,
    against: Annotated[
        str, typer.Option(help="With --bisect: torch, or float32 (Core ML: the same file without rounding).")
    ] = "torch",
    report: Annotated[
        list[Path] | None,
        typer.Option(
            help="Write what was found: .html for people, .json or .xml (JUnit) for CI. Repeatable.", metavar="FILE"
        ),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="An older manifest.json: fail when a number got worse.", metavar="MANIFEST")
    ] = None,
    margin_db: Annotated[float, typer.Option(help="With --baseline: PSNR that may be lost, in dB.")] = 3,
    margin_iou: Annotated[float, typer.Option(help="With --baseline: mask IoU that may be lost.")] = 0.001,
    unit: Unit = None,
    numerics: Numerics = "declared",
    accept_license: AcceptLicense = False,
) -> None:
    """Judge what is there against PyTorch, or one folder against another; exit status 1 when a gate fails."""
    from lightsam.errors import ParityError, UsageError
    from lightsam.files import check_suffix
    from lightsam_exporters.formats.running import RunOptions
    from lightsam_exporters.parity.baseline import Margin
    from lightsam_exporters.parity.exports import JudgeConfig
    from lightsam_exporters.parity.folder import FolderConfig, judge_against, judge_folder
    from lightsam_exporters.parity.reference import References
    from lightsam_exporters.parity.suite import load_suite
    from lightsam_exporters.parity.writers import WRITERS, write_report

    for path in report or ():
        check_suffix(path, WRITERS)
    config = FolderConfig(
        JudgeConfig(load_suite(suite), tuple(gate or ())),
        format_name,
        precision,
        weights,
        RunOptions(unit, numerics),
        bisect,
        threshold,
        against,
        baseline,
        Margin(margin_db, margin_iou),
        illustrated=any(path.suffix == ".html" for path in report or ()),
    )

    def show(title: str, one: "Judged") -> None:
        print_report(title, one.report, every=every)
        for line in one.regressions:
            out.print(Text("WORSE", "red"), line, soft_wrap=True)
        for found in one.bisections:
            print_bisection(found)

    with progress(None) as begin:
        if other is None:
            judged = judge_folder(folder, config, References(DownloadBar(), accept_license=accept_license), begin, show)
        else:
            for option, given in (("--bisect", bisect), ("--baseline", baseline), ("--weights", weights)):
                if given:
                    raise UsageError(f"{option} is for judging against PyTorch: leave it out with two folders")
            judged = judge_against(folder, other, config, begin, show)
    for path in report or ():
        write_report(path, judged)
        out.print(f"report written to {path}")
    failed = [one.name for one in judged if not one.passed]
    if failed:
        raise ParityError(f"{len(failed)} of {len(judged)} exports fail: {', '.join(failed)}")
