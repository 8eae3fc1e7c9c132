"""What the command shows: results on stdout, progress and errors on stderr."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, TextIO

from rich.console import Console
from rich.markup import escape
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

if TYPE_CHECKING:
    from pathlib import Path

    from lightsam.cost import Cost
    from lightsam.models import ModelCard
    from lightsam.predictor import Answer
    from lightsam_exporters.bisect import Bisection
    from lightsam_exporters.parity import ParityReport
    from lightsam_exporters.pipeline import Outcome
    from lightsam_exporters.residency import Share

_PIPED_WIDTH = 180
"""Columns where there is no terminal: a table in a log should not be folded to 80."""

out = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)


def _own_stderr() -> TextIO:
    """A duplicate of the stream: the noise of converters is kept away by redirecting the original."""
    try:
        return os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    except OSError:  # closed, as in a daemon
        return sys.stderr


err = Console(file=_own_stderr(), width=None if sys.stderr.isatty() else _PIPED_WIDTH, highlight=False)


@contextmanager
def progress(steps: int) -> Iterator[Callable[[str], None]]:
    """Show a bar on stderr, or a line a step where that is no terminal; yields what begins the next step."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
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
                err.print(escape(description))
            bar.update(task, description=description, advance=int(begun))
            begun = True

        yield begin
        bar.advance(task)


class DownloadBar:
    """A bar with speed and time left on stderr, in the form that pooch drives."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
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


def print_models(rows: "list[tuple[ModelCard, dict[str, Cost], bool]]") -> None:
    """The table of models: card, what each stage costs, and whether the checkpoint is cached."""
    table = Table(
        "model",
        "encoder",
        "GMACs",
        "decoder",
        "GMACs",
        "sizes",
        "licence",
        "COCO AP",
        "iPhone 12 ms",
        "M1 Pro ms",
        "paper",
        "checkpoint",
        caption="Parameters and GMACs are counted on the exported graphs, GMACs at the first size. AP and encoder "
        "latency are the authors' own, not measured here.",
    )
    sources: dict[str, str] = {}
    for card, cost, cached in rows:
        published = card.published
        if published.source:
            mark = sources.setdefault(published.source, "abcdefgh"[len(sources)])
        table.add_row(
            card.name,
            f"{cost['encoder'].parameters / 1e6:.1f} M",
            f"{cost['encoder'].gmacs:.1f}",
            f"{cost['decoder'].parameters / 1e6:.1f} M",
            f"{cost['decoder'].gmacs:.1f}",
            ", ".join(map(str, card.image_sizes)),
            card.licence + ("" if card.commercial_use else ", non-commercial"),
            *("" if value is None else f"{value} ({mark})" for value in (published.coco_ap, published.iphone_12_ms)),
            "" if published.m1_pro_ms is None else f"{published.m1_pro_ms} ({mark})",
            card.paper.removeprefix("https://"),
            "cached" if cached else "not cached",
        )
    out.print(table)
    for source, mark in sources.items():
        out.print(f"({mark}) {source}", soft_wrap=True)


def print_weights(rows: "list[tuple[ModelCard, Path, str | None, bool]]") -> None:
    """The table of checkpoints: card, path, the sha256 that it must have, and whether it is cached."""
    table = Table("model", "checkpoint", "size", "sha256", "licence")
    for card, path, sha256, cached in rows:
        origin = "published" if card.checkpoint.sha256 else "of the first download"
        table.add_row(
            card.name,
            path.name if cached else f"not cached: {card.checkpoint.url}",
            f"{path.stat().st_size / 1e6:.1f} MB" if cached else "",
            f"{sha256[:12]}... ({origin})" if sha256 else "none published",
            card.licence + ("" if card.commercial_use else ", non-commercial"),
        )
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
        "ranks",
        "verdict",
        title=f"{title}: suite {report.suite}",
        caption=f"judged by: {report.judge}. Gates: {gate.psnr_db:g} dB a stage, mask IoU {gate.mask_iou:g}, boundary "
        f"IoU {gate.boundary_iou:g}, ranks but for ties within {gate.iou_tolerance:g}",
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
            "" if row.mask_iou is None else f"{row.mask_iou:.5f}",
            "" if row.boundary_iou is None else f"{row.boundary_iou:.5f}",
            "" if row.flipped_pixels is None else str(row.flipped_pixels),
            "" if row.same_order is None else ("same" if row.same_order and row.same_best else "other"),
            "[red]FAIL[/red]" if row.failure else "[green]pass[/green]",
        )
    out.print(table)
    for failure in report.failures:
        out.print(f"[red]FAIL[/red] {escape(failure)}", soft_wrap=True)


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
            name = escape(step.name)
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
        ious = [m.mask_iou for m in report.measurements if m.mask_iou is not None] if report else []
        table.add_row(
            outcome.request.name,
            f"{min(decibels):.1f}" if decibels else "",
            f"{min(ious):.5f}" if ious else "",
            "" if outcome.folder is None else f"{outcome.size_bytes / 1e6:.1f} MB",
            "[green]pass[/green]" if error is None else f"[red]{'FAIL' if report else 'not made'}[/red]",
        )
    out.print(table)


def fail(message: str, status: int) -> NoReturn:
    """Say what went wrong in one line, and exit."""
    # One line: a message may quote a library's, which may have several. Not wrapped: a log is searched by line.
    err.print(f"[bold red]error:[/bold red] {escape(' '.join(message.split()))}", soft_wrap=True)
    sys.exit(status)
