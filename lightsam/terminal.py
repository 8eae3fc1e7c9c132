"""What the command shows: results on stdout, progress and errors on stderr."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lightsam.cost import Cost
    from lightsam.models import ModelCard, WeightSet
    from lightsam.predictor import Answer
    from lightsam.weights.onnx_import import Agreement
    from lightsam_benchmarks.compare import Change
    from lightsam_benchmarks.interleaved import Versus
    from lightsam_benchmarks.plan import Task
    from lightsam_benchmarks.points import Done
    from lightsam_benchmarks.report import Table as BenchmarkTable
    from lightsam_exporters.bisect import Bisection
    from lightsam_exporters.masks import MaskGroups
    from lightsam_exporters.parity import ParityReport
    from lightsam_exporters.pipeline import Outcome
    from lightsam_exporters.residency import Share

_PIPED_WIDTH = 180
"""Columns where there is no terminal: a table in a log should not be folded to 80."""

# No markup: a path or a message may hold brackets. What has a colour is a `Text`.
_PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
out = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, **_PLAIN)

PASS, FAIL = Text("pass", "green"), Text("FAIL", "red")


def _own_stderr() -> TextIO:
    """A duplicate of the stream: the noise of converters is kept away by redirecting the original."""
    try:
        return os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    except OSError:  # closed, as in a daemon
        return sys.stderr


err = Console(file=_own_stderr(), width=None if sys.stderr.isatty() else _PIPED_WIDTH, **_PLAIN)


@contextmanager
def progress(steps: int) -> Iterator[Callable[[str], None]]:
    """Show a bar on stderr, or a line a step where that is no terminal; yields what begins the next step."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=steps)
        begun = False

        def begin(description: str) -> None:
            nonlocal begun
            if not err.is_terminal:
                err.print(description)
            bar.update(task, description=description, advance=int(begun))
            begun = True

        yield begin
        bar.advance(task)


class DownloadBar:
    """A bar with speed and time left on stderr, in the form that pooch drives."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self.bar = Progress(*columns, TimeRemainingColumn(), console=err, disable=not err.is_terminal)
        self._task = self.bar.add_task("downloading", total=None)

    @property
    def total(self) -> int:
        """Size in bytes; 0 if the server does not say."""
        return int(self.bar.tasks[0].total or 0)

    @total.setter
    def total(self, size: int) -> None:
        # Set when a response begins: so also when a broken download begins again.
        self.bar.reset(self._task, total=size or None)
        self.bar.start()

    def update(self, size: int) -> None:
        """``size`` more bytes are there."""
        self.bar.update(self._task, advance=size)

    def reset(self) -> None:
        """All that came so far did not count; pooch counts the whole file anew at its end."""
        self.bar.update(self._task, completed=0)

    def close(self) -> None:
        """The download is over, well or not."""
        self.bar.stop()


def print_models(rows: "list[tuple[ModelCard, dict[str, Cost], dict[str, bool]]]") -> None:
    """The table of models: card, what each stage costs, and which of its weights are cached."""
    from lightsam.models.card import IPHONE_12, M1_PRO

    devices = (IPHONE_12, M1_PRO)
    table = Table(
        "model",
        "encoder",
        "GMACs",
        "decoder",
        "GMACs",
        "sizes",
        "license",
        "COCO AP",
        *(f"{device} ms" for device in devices),
        "paper",
        "weights",
        caption="Parameters and GMACs are counted on the exported graphs, GMACs at the first size. AP and encoder "
        "latency are the authors' own, not measured here.",
    )
    sources: dict[str, str] = {}

    def mark(source: str) -> str:
        return sources.setdefault(source, f"({len(sources) + 1})")

    for card, cost, cached in rows:
        latencies = [card.published.latency("encoder", device) for device in devices]
        figures: list[tuple[float | str | None, str]] = [
            (card.published.coco_ap, card.published.source),
            *((None, "") if one is None else (one.ms, one.source) for one in latencies),
        ]
        table.add_row(
            card.name,
            f"{cost['encoder'].parameters / 1e6:.1f} M",
            f"{cost['encoder'].gmacs:.1f}",
            f"{cost['decoder'].parameters / 1e6:.1f} M",
            f"{cost['decoder'].gmacs:.1f}",
            ", ".join(map(str, card.image_sizes)),
            "\n".join(_beside(card, one, one.license_line) for one in card.weights),
            *("" if value is None else f"{value} {mark(source)}" for value, source in figures),
            card.paper.removeprefix("https://"),
            "\n".join(_beside(card, one, "cached" if cached[one.name] else "not cached") for one in card.weights),
        )
    out.print(table)
    for source, number in sources.items():
        out.print(f"{number} {source}", soft_wrap=True)


def _beside(card: "ModelCard", chosen: "WeightSet", text: str) -> str:
    """With the name of the set, where it is not the official one."""
    return text if chosen == card.official else f"{chosen.name}: {text}"


def print_weights(rows: "list[tuple[ModelCard, WeightSet, Path | None, str | None]]") -> None:
    """The table of weights: card, set, where it is cached, and the sha256 that it must have."""
    from lightsam.weights.cache import name_of, published_sha256

    table = Table("weights", "checkpoint", "size", "sha256", "whose", "license")
    table.columns[1].overflow = "fold"  # an address that is cut short is of no use
    for card, one, path, sha256 in rows:
        origin = "published" if published_sha256(one) else "recorded"  # of the first download, or of the import
        license_note = f" ({one.license_note})" if one.license_note else ""
        table.add_row(
            name_of(card, one),
            path.name if path else "not cached\n" + "\n".join(source.title for source in one.sources),
            f"{path.stat().st_size / 1e6:.1f} MB" if path else "",
            f"{sha256[:12]}... ({origin})" if sha256 else "none published",
            one.authors,
            one.license_line + license_note,
        )
    out.print(table)


def print_agreements(title: str, agreements: "Sequence[Agreement]") -> None:
    """How closely the two sides of an import agree: each output where it is worst."""
    table = Table("output", "prompt", "PSNR dB", title=title)
    for output in dict.fromkeys(one.output for one in agreements):
        worst = min((one for one in agreements if one.output == output), key=lambda one: one.psnr_db)
        table.add_row(output, worst.prompt and f"{worst.prompt} (worst)", f"{worst.psnr_db:.1f}")
    out.print(table)


def print_answer(answer: "Answer") -> None:
    """The masks of an answer; the best is the one that is written."""
    table = Table("mask", "predicted IoU", "foreground", "")
    for index, (mask, iou) in enumerate(zip(answer.masks, answer.iou_predictions, strict=True)):
        table.add_row(str(index), f"{iou:.3f}", f"{mask.mean():.1%}", "written" if index == answer.best else "")
    out.print(table)


def print_report(title: str, report: "ParityReport", *, every: bool = False) -> None:
    """The table of a judgement, for the worst case or for every one, and each failure in words."""
    gate = report.gate
    table = Table(
        "stage",
        "output",
        "prompt",
        "PSNR dB",
        "SQNR dB",
        "max error",
        "mask IoU",
        "boundary IoU",
        "flipped",
        "others",
        "undecided",
        "choice",
        "verdict",
        title=f"{title}: suite {report.suite}",
        caption=f"judged by: {report.judge}. Gates: {gate.psnr_db:g} dB a stage, mask IoU {gate.mask_iou:g} and "
        f"boundary IoU {gate.boundary_iou:g} (pixels within rounding do not count), the same choice but for ties "
        f"within {gate.iou_tolerance:g}. Mask IoU to flipped: the masks that a user is shown; others: further ones, "
        "where the reference is decided; undecided: the rest, under no gate",
    )
    for row in report.measurements if every else report.worst():
        where = ": ".join(filter(None, (row.picture, row.prompt)))
        table.add_row(
            row.scope,
            row.output,
            where if every else f"{where} (worst)",
            "exact" if row.psnr_db is None else f"{row.psnr_db:.1f}",
            "exact" if row.sqnr_db is None else f"{row.sqnr_db:.1f}",
            f"{row.max_abs_error:.2e}",
            *_mask_cells(row.masks),
            "" if row.same_choice is None else ("same" if row.same_choice else "other"),
            FAIL if row.failure else PASS,
        )
    out.print(table)
    for failure in report.failures:
        out.print(FAIL, failure, soft_wrap=True)


def _mask_cells(masks: "MaskGroups | None") -> list[str]:
    """Mask IoU, boundary IoU and flipped pixels of the masks that are shown; mask IoU of the two other groups."""
    if masks is None:
        return [""] * 5
    shown, others = masks.shown, (masks.decided, masks.undecided)
    flipped = str(shown.flipped_pixels)
    if shown.rounded_pixels:
        flipped += f" ({shown.rounded_pixels} rounded)"
    return [
        f"{shown.mask_iou:.5f}",
        f"{shown.boundary_iou:.5f}",
        flipped,
        *("" if group is None else f"{group.mask_iou:.5f}" for group in others),
    ]


def print_bisection(found: "Bisection") -> None:
    """Where a stage of a file leaves what it is compared with."""
    title = f"{found.export} {found.stage}: {len(found.steps)} values compared with {found.against}"
    if found.culprit is None:
        out.print(f"{title}; none stays below {found.threshold_db:g} dB")
        return
    table = Table("", "operation", "type", "PyTorch module", "PSNR dB", "largest value", title=title)
    steps = [("before", found.before), ("first off", found.steps[found.culprit])]
    steps += [("then", step) for step in found.steps[found.culprit + 1 : found.culprit + 3]]
    for label, step in steps:
        if step is not None:
            name = step.name
            table.add_row(label, name, step.op_type, step.module, f"{step.psnr_db:.1f}", f"{step.largest:.4g}")
    out.print(table)


def print_residency(title: str, shares: "list[Share]") -> None:
    """Where Core ML would run a package."""
    table = Table("device", "operations", "estimated cost", title=title)
    for share in shares:
        table.add_row(share.device, str(share.operations), f"{share.cost:.1%}")
    out.print(table)


def print_outcomes(outcomes: "list[Outcome]") -> None:
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


def print_tables(tables: "list[BenchmarkTable]", notes: list[str], sources: list[str]) -> None:
    """The tables of benchmark records, and what must be known of them."""
    for content in tables:
        table = Table(title=content.title)
        for index, name in enumerate(content.columns):
            table.add_column(name, justify="left" if index < content.words else "right")
        for row in content.rows:
            failed = any(cell.startswith("FAILED") for cell in row)
            table.add_row(*row, style="red" if failed else None)
        out.print(table)
    for line in notes:
        out.print(f"- {line}", soft_wrap=True)
    for line in sources:
        out.print(f"- published, {line}", soft_wrap=True)


def print_versus(found: "list[tuple[Task, Task, list[Versus]]]") -> None:
    """What two sides take, and the ratio."""
    from lightsam_benchmarks.report import milliseconds, parity

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


def print_changes(changes: "list[Change]", differing: list[str], margin: float) -> None:
    """What two records have in common, and how it changed."""
    from lightsam_benchmarks.report import milliseconds

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


def print_sweep(results: "list[Done]") -> None:
    """What became of every point."""
    from lightsam_benchmarks.record import OK

    table = Table("point", "work", "", "seconds", "why")
    for done in results:
        status = Text(done.status, "green" if done.status == OK else "red")
        table.add_row(done.key, done.work, status, f"{done.seconds:.1f}", done.message)
    out.print(table)


def fail(message: str, status: int) -> NoReturn:
    """Say what went wrong in one line, and exit."""
    # One line: a message may quote a library's, which may have several. Not wrapped: a log is searched by line.
    err.print(Text("error:", "bold red"), " ".join(message.split()), soft_wrap=True)
    sys.exit(status)
