"""Judgements as tables: shared by ``lightsam export`` and ``lightsam parity``."""

from typing import TYPE_CHECKING

from rich.table import Table

from lightsam.cli.console import FAIL, PASS, out

if TYPE_CHECKING:
    from lightsam_exporters.parity.bisect import Bisection
    from lightsam_exporters.parity.masks import MaskGroups
    from lightsam_exporters.parity.measurement import ParityReport


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
        caption=f"judged by {report.judge}: {_meaning(report)} Gates: {gate.psnr_db:g} dB a stage, mask IoU "
        f"{gate.mask_iou:g} and boundary IoU {gate.boundary_iou:g} (pixels within rounding do not count), the same "
        "choice but for ties "
        f"within {gate.iou_tolerance:g}. Mask IoU to flipped: the masks that a user is shown; others: further ones, "
        "where the reference is decided; undecided: the rest, under no gate",
    )
    for row in report.measurements if every else report.worst():
        where = ": ".join(filter(None, (row.image, row.prompt)))
        table.add_row(
            row.scope,
            row.output,
            where if every else f"{where} (worst)",
            "exact" if row.psnr_db is None else f"{row.psnr_db:.1f}",
            "exact" if row.sqnr_db is None else f"{row.sqnr_db:.1f}",
            "" if row.max_abs_error is None else f"{row.max_abs_error:.2e}",
            *_mask_cells(row.masks),
            "" if row.same_choice is None else ("same" if row.same_choice else "other"),
            FAIL if row.failure else PASS,
        )
    out.print(table)
    if report.left_out:
        out.print("not asked, because the model takes no such prompt:", ", ".join(report.left_out), soft_wrap=True)
    for failure in report.failures:
        out.print(FAIL, failure, soft_wrap=True)


def _meaning(report: "ParityReport") -> str:
    """What it is worth that this judge found it."""
    if report.simulated:
        return "computed here as the file declares, each operation rounded to its dtype; a device may round otherwise."
    return "run here by the format's own runtime; another device's kernels may round otherwise."


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
