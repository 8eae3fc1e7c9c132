"""What the command shows: results on stdout, progress and errors on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from lightsam.models import ModelCard
    from lightsam.predictor import Answer
    from lightsam_exporters.parity import ParityReport

_PIPED_WIDTH = 140
"""Columns where there is no terminal: a table in a log should not be folded to 80."""

out = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)
# The stream itself, not "whatever sys.stderr is then": converters' noise is kept away by redirecting that.
err = Console(file=sys.stderr, width=None if sys.stderr.isatty() else _PIPED_WIDTH, highlight=False)


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


def print_models(rows: "list[tuple[ModelCard, int, int, bool]]") -> None:
    """The table of models: card, parameters of the encoder and of the rest, and whether the checkpoint is cached."""
    table = Table("model", "encoder", "decoder", "image sizes", "licence", "paper", "checkpoint")
    for card, encoder, decoder, cached in rows:
        table.add_row(
            card.name,
            f"{encoder / 1e6:.2f} M",
            f"{decoder / 1e6:.2f} M",
            ", ".join(map(str, card.image_sizes)),
            card.licence,
            card.paper,
            "cached" if cached else "not cached",
        )
    out.print(table)


def print_answer(answer: "Answer") -> None:
    """The masks of an answer; the best is the one that is written."""
    table = Table("mask", "predicted IoU", "foreground", "")
    for index, (mask, iou) in enumerate(zip(answer.masks, answer.iou_predictions, strict=True)):
        table.add_row(str(index), f"{iou:.3f}", f"{mask.mean():.1%}", "written" if index == answer.best else "")
    out.print(table)


def print_report(title: str, report: "ParityReport", *, every: bool = False) -> None:
    """The table of a judgement, for the worst prompt or for every one, and each failure in words."""
    gate = report.gate
    table = Table(
        "stage",
        "output",
        "prompt",
        "PSNR dB",
        "cosine",
        "max error",
        "mask IoU",
        "verdict",
        title=f"{title}: parity with PyTorch on {report.picture}",
        caption=f"judged by: {report.judge}. Gates: {gate.psnr_db:g} dB a stage, mask IoU {gate.mask_iou:g}",
    )
    for row in report.measurements if every else report.worst():
        table.add_row(
            row.scope,
            row.output,
            row.prompt if every or not row.prompt else f"{row.prompt} (worst)",
            "exact" if row.psnr_db is None else f"{row.psnr_db:.1f}",
            f"{row.cosine:.7f}",
            f"{row.max_abs_error:.2e}",
            "" if row.mask_iou is None else f"{row.mask_iou:.5f}",
            "[red]FAIL[/red]" if row.failure else "[green]pass[/green]",
        )
    out.print(table)
    for failure in report.failures:
        out.print(f"[red]FAIL[/red] {escape(failure)}", soft_wrap=True)


def fail(message: str, status: int) -> NoReturn:
    """Say what went wrong in one line, and exit."""
    # One line: a message may quote a library's, which may have several. Not wrapped: a log is searched by line.
    err.print(f"[bold red]error:[/bold red] {escape(' '.join(message.split()))}", soft_wrap=True)
    sys.exit(status)
