"""A record as tables, for the terminal, the docs and the page."""

from collections.abc import Sequence

from lightsam_benchmarks.latency.summary import Ratio
from lightsam_benchmarks.machine import circumstances
from lightsam_benchmarks.tables import Table, records_as_markdown

from .record import Record
from .rows import Measured, Row

_KINDS = ("box", "point", "clicks")
_COLUMNS = ("format", "precision", "stage", "MB", "of float32", "small weights", "PSNR dB", "mask IoU")


def tables(record: Record) -> list[Table]:
    """A table for each model: its rows, those of a format together."""
    models = dict.fromkeys((one.model, one.image_size) for one in record.measured)
    return [_table(record, *model) for model in models]


def kinds_of(record: Record, model: str) -> list[str]:
    """Kinds of prompts that a model was evaluated by."""
    there = {masks.prompts for one in record.measured if one.model == model for row in one.rows for masks in row.masks}
    return [kind for kind in _KINDS if kind in there]


def _table(record: Record, model: str, image_size: int) -> Table:
    mine = [one for one in record.measured if (one.model, one.image_size) == (model, image_size)]
    kinds = kinds_of(record, model)
    of_masks = tuple(name for kind in kinds for name in (f"mIoU, {kind}", "against PyTorch, 95 % interval"))
    weights = mine[0].weights
    what = weights.title if weights.trained else "drawn weights, which say nothing of masks"
    return Table(
        f"{model} at {image_size}, {what}",
        (*_COLUMNS, *of_masks, "times as fast", "95 % interval", "gates"),
        tuple(_cells(record, one, row, kinds) for one in mine for row in one.rows),
        3,
    )


def share_of_float32(record: Record, one: Measured, row: Row) -> float | None:
    """Its size over that of the same stage in float32 of the same format."""
    whole = next(
        (
            other
            for other in record.measured
            if (other.model, other.image_size, other.format, other.precision)
            == (one.model, one.image_size, one.format, "float32")
        ),
        None,
    )
    of_whole = None if whole is None else whole.row(row.scope)
    return None if of_whole is None else row.size_bytes / of_whole.size_bytes


def _cells(record: Record, one: Measured, row: Row, kinds: Sequence[str]) -> tuple[str, ...]:
    share = share_of_float32(record, one, row)
    cells = [
        one.format,
        one.precision,
        row.scope,
        f"{row.size_bytes / 1e6:.1f}",
        "" if share is None else f"{share:.2f}",
        "" if row.coverage is None else f"{row.coverage:.0%}",
        "" if row.psnr_db is None else f"{row.psnr_db:.1f}",
        "" if row.mask_iou is None else f"{row.mask_iou:.4f}",
    ]
    found = {masks.prompts: masks for masks in row.masks}
    for kind in kinds:
        masks, lost = found.get(kind), record.lost(one, row.scope, kind)
        cells.append("" if masks is None else f"{masks.miou:.4f}")
        interval = "" if lost is None or lost.interval is None else " ({:+.4f} to {:+.4f})".format(*lost.interval)
        cells.append("" if lost is None or one.format == "torch" else f"{lost.difference:+.4f}{interval}")
    cells += [*_speed(row.speed), "pass" if one.passed else "FAILED"]
    return tuple(cells)


def _speed(ratio: Ratio | None) -> tuple[str, str]:
    return ("", "") if ratio is None else (f"{ratio.value:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}")


def notes(record: Record) -> list[str]:
    """What a reader must know, a line each."""
    first = record.measured[0]
    lines = [
        f"{record.chip}, {record.usable_cores} usable cores; {record.created}; "
        + circumstances(record.lightsam, record.git, record.python, first.runs_on),
        "Both stages are compressed in these exports. The row of a stage is of that stage with PyTorch's other one; "
        "PSNR and mask IoU are the worst by the judge's quick suite, against PyTorch.",
        "Times as fast: than the same stage in float32 of the same format, called by turns; above 1 is faster.",
    ]
    lines += [f"Calibrated on {what}." for what in record.calibrated_on]
    data = {(one.truth.data, len(one.truth.images), len(set(one.truth.images))) for one in record.measured if one.truth}
    lines += [f"Ground truth: {name}, {objects} objects in {images} images." for name, objects, images in sorted(data)]
    for model in record.untrained:
        lines.append(f"{model}: the weights are drawn. Sizes and times are those of trained ones; masks mean nothing.")
    reasons = dict.fromkeys(
        f"{one.format}: not timed: {row.not_timed}"
        for one in record.measured
        for row in one.rows
        if row.not_timed and row.scope != "both" and one.precision != "float32"
    )
    return [*lines, *reasons, *(f"{one.name}: {failure}" for one in record.measured for failure in one.failures[:3])]


def markdown(records: Sequence[Record]) -> str:
    """The tables as GitHub shows them, and what must be known of each."""
    return records_as_markdown(records, tables, notes)
