"""``lightsam parity``: judging what is there."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from lightsam.cli.console import DownloadBar, out, progress
from lightsam.cli.judgement import print_bisection, print_report
from lightsam.cli.options import ComputeUnits, Numerics, examples

if TYPE_CHECKING:
    from lightsam.stages import Arrays
    from lightsam_exporters.formats.base import RunOptions
    from lightsam_exporters.loading import Export
    from lightsam_exporters.parity.bisect import Bisection
    from lightsam_exporters.parity.exports import JudgeConfig
    from lightsam_exporters.parity.illustrate import Illustration
    from lightsam_exporters.parity.judge import ParityReport
    from lightsam_exporters.parity.reference_image import ReferenceImage
    from lightsam_exporters.parity.report import Judged
    from lightsam_exporters.parity.suite import Case


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
        typer.Argument(metavar="DIR", help="A model's folder, with its manifest.json; or, with OTHER, one export's."),
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
    compute_units: ComputeUnits = "ALL",
    numerics: Numerics = "declared",
) -> None:
    """Judge what is there against PyTorch, or one folder against another; exit status 1 when a gate fails."""
    from lightsam.errors import ParityError, UsageError
    from lightsam_exporters.formats.base import RunOptions
    from lightsam_exporters.parity.exports import JudgeConfig
    from lightsam_exporters.parity.report import check_suffix, write_report
    from lightsam_exporters.parity.suite import load_suite

    for path in report or ():
        check_suffix(path)
    config = JudgeConfig(load_suite(suite), tuple(gate or ()))
    how = RunOptions(compute_units, numerics)
    watching = _Watching(illustrating=any(path.suffix == ".html" for path in report or ()), every=every)
    if other is None:
        judged = _against_pytorch(
            folder, format_name, precision, config, weights, how, watching,
            bisect=(threshold, against) if bisect else None,
            baseline=None if baseline is None else (baseline, margin_db, margin_iou),
        )  # fmt: skip
    else:
        for option, given in (("--bisect", bisect), ("--baseline", baseline), ("--weights", weights)):
            if given:
                raise UsageError(f"{option} is for judging against PyTorch: leave it out with two folders")
        judged = _against_files(folder, other, format_name, precision, config, how, watching)
    for path in report or ():
        write_report(path, judged)
        out.print(f"report written to {path}")
    failed = [one.name for one in judged if not one.passed]
    if failed:
        raise ParityError(f"{len(failed)} of {len(judged)} exports fail: {', '.join(failed)}")


class _Watching:
    """Shows each judgement, and keeps images of its answers where a page is wanted."""

    def __init__(self, *, illustrating: bool, every: bool) -> None:
        self._illustrating, self._every = illustrating, every
        self._illustrations: list[Illustration] = []

    def see(self, reference_image: "ReferenceImage", case: "Case", expected: "Arrays", found: "Arrays") -> None:
        """Draw an answer; of a grid, none: its prompts are many and look alike."""
        from lightsam_exporters.parity.illustrate import illustrate

        drawn = (
            illustrate(reference_image, case, expected, found) if self._illustrating and not case.chain_only else None
        )
        if drawn is not None:
            self._illustrations.append(drawn)

    def conclude(
        self,
        title: str,
        entry: "Export",
        report: "ParityReport",
        regressions: tuple[str, ...] = (),
        bisections: "tuple[Bisection, ...]" = (),
    ) -> "Judged":
        """Print a judgement, and put it together with what was drawn meanwhile."""
        from lightsam_exporters.parity.report import Judged

        print_report(f"{title}, {entry.weights.title}", report, every=self._every)
        for line in regressions:
            out.print(Text("WORSE", "red"), line, soft_wrap=True)
        for found in bisections:
            print_bisection(found)
        hashes = {name: file["sha256"] for name, file in entry.entry["files"].items()}
        drawn, self._illustrations = tuple(self._illustrations), []
        model = entry.folder.resolve().name  # of "." the name is empty
        return Judged(
            entry.name,
            model,
            report,
            weights=entry.weights.title,
            sha256=hashes,
            tools=entry.entry["tools"],
            regressions=regressions,
            bisections=bisections,
            illustrations=drawn,
        )


def _against_pytorch(
    folder: Path,
    format_name: str | None,
    precision: str | None,
    config: "JudgeConfig",
    weights: str | None,
    how: "RunOptions",
    watching: _Watching,
    bisect: tuple[float | None, str] | None,
    baseline: tuple[Path, float, float] | None,
) -> "list[Judged]":
    from lightsam_exporters.loading import find_exports
    from lightsam_exporters.parity.baseline import Margin, find_regressions, read_baseline
    from lightsam_exporters.parity.bisect import supports_inspection
    from lightsam_exporters.parity.exports import judge_exports, locate
    from lightsam_exporters.parity.reference import References

    found = find_exports(folder, format_name, precision)
    before = None if baseline is None else read_baseline(baseline[0])
    references = References(DownloadBar())
    judged = []
    with progress(len(found)) as begin:
        for entry in found:
            ((_, report),) = judge_exports([entry], config, weights, begin, how, references, watching.see)
            worse: tuple[str, ...] = ()
            if baseline is not None and before is not None:
                worse = tuple(find_regressions(entry.name, report, before, Margin(*baseline[1:])))
            located: tuple[Bisection, ...] = ()
            if bisect is not None and (format_name is not None or supports_inspection(entry)):
                located = tuple(locate(entry, config, references, weights, *bisect))
            judged.append(watching.conclude(f"{folder} {entry.name}", entry, report, worse, located))
    return judged


def _against_files(
    folder: Path,
    other: Path,
    format_name: str | None,
    precision: str | None,
    config: "JudgeConfig",
    how: "RunOptions",
    watching: _Watching,
) -> "list[Judged]":
    from lightsam_exporters.parity.compare import compare, pairs_of

    pairs = pairs_of(folder, other, format_name, precision)
    judged = []
    with progress(len(pairs)) as begin:
        for reference, candidate in pairs:
            begin(f"comparing {candidate.folder}/{candidate.name} with {reference.folder}/{reference.name}")
            report = compare(reference, candidate, config.suite, config.gates, how, watching.see)
            title = f"{candidate.folder} {candidate.name}, judged by {reference.folder} {reference.name}"
            judged.append(watching.conclude(title, candidate, report))
    return judged
