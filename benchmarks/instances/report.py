"""Records of instances for people: tables, what must be known of them, and what others published."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightsam_benchmarks.machine import circumstances
from lightsam_benchmarks.tables import Table, records_as_markdown

from .record import Precision, Record, Set
from .request import DETECTIONS, SINGLE

_COCO = "instances_val2017.json"


@dataclass(frozen=True)
class Published:
    """A figure of others on COCO val2017, in percent."""

    model: str
    ap: float
    boxes: str
    source: str


PUBLISHED = tuple(
    Published(model, ap, boxes, source)
    for boxes, source, figures in (
        (
            "ViTDet-H's, the best of three masks",
            "https://github.com/xinghaochen/TinySAM, README",
            (("MobileSAM", 41.0), ("TinySAM", 42.3), ("SAM ViT-H", 46.6)),
        ),
        (
            "its own choice",
            "https://github.com/THU-MIG/RepViT, sam/README",
            (("MobileSAM", 42.7), ("RepViT-SAM", 44.4)),
        ),
    )
    for model, ap in figures
)
"""Figures of one row of boxes compare with each other alone: another detector's boxes give other figures."""


def percent(value: float | None) -> str:
    """As papers have it; empty for None."""
    return "" if value is None else f"{100 * value:.2f}"


def tables(record: Record) -> list[Table]:
    """Every subject and set, the means over sets, what ``--vs`` found, and published figures on COCO val2017."""
    lvis = any(one.rules == "lvis" for one in record.sets)
    several = len(record.sets) > 1
    rows = []
    for one in record.sets:
        name = (one.name,) if several else ()
        rows += [
            (row.subject, *name, *_cells(row.precision, lvis), percent(one.boxes.precision.ap))
            for row in record.results
            if row.set == one.name
        ]
    if several:
        blank = ("",) * (len(_columns(lvis)) - 3)
        rows += [
            (
                mean.subject,
                f"mean of {mean.sets}",
                percent(mean.ap),
                percent(mean.ap50),
                percent(mean.ap75),
                *blank,
                percent(mean.boxes_ap),
            )
            for mean in record.means
        ]
    columns = ("subject", *(("set",) if several else ()), *_columns(lvis), "AP of the boxes")
    boxes = sum(one.boxes.count for one in record.sets)
    images = sum(one.images for one in record.sets)
    title = f"Average precision of masks by boxes, {boxes} boxes in {images} images, %"
    made = [
        Table(title, columns, tuple(rows), 1 + several),
        Table(
            "Two subjects on the same boxes, %",
            ("A", "B", "set", "A AP", "B AP", "B - A", "IoU of the masks", "lowest"),
            tuple(
                (
                    one.a, one.b, one.set, percent(one.ap_a), percent(one.ap_b),
                    f"{100 * one.difference + 0.0:+.2f}", percent(one.mask_iou), percent(one.least_mask_iou),
                )
                for one in record.differences
            ),
            3,
        ),
    ]  # fmt: skip
    if _comparable(record):
        published = tuple((one.model, f"{one.ap:.1f}", one.boxes, one.source) for one in PUBLISHED)
        made.append(Table("Published on COCO val2017, %", ("model", "AP", "boxes and mask", "source"), published, 4))
    return [table for table in made if table.rows]


def _comparable(record: Record) -> bool:
    return record.limit is None and any(
        one.annotations == _COCO and one.boxes.source == DETECTIONS for one in record.sets
    )


def _columns(lvis: bool) -> tuple[str, ...]:
    return ("AP", "AP50", "AP75", "APs", "APm", "APl", *(("APr", "APc", "APf") if lvis else ()), "AR")


def _cells(precision: Precision, lvis: bool) -> tuple[str, ...]:
    frequencies = (precision.ap_rare, precision.ap_common, precision.ap_frequent)
    return tuple(
        percent(value)
        for value in (
            precision.ap,
            precision.ap50,
            precision.ap75,
            precision.ap_small,
            precision.ap_medium,
            precision.ap_large,
            *(frequencies if lvis else ()),
            precision.ar,
        )
    )


def notes(record: Record) -> list[str]:
    """What a reader must know of a record, a line each."""
    lines = [_about(one, record) for one in record.sets]
    if record.passed_over:
        lines.append(f"passed over, as they hold no annotations: {', '.join(record.passed_over)}")
    choice = "mask 0" if record.mask == SINGLE else "the best of masks 1 to 3 by predicted IoU"
    lines += [
        f"a box is answered by {choice}; a mask's score is its box's",
        f"{record.created}, {record.chip}; "
        + circumstances(record.lightsam, record.git, record.python, record.versions),
    ]
    for one in record.subjects:
        changed = "; its files have changed since they were exported" if one.changed else ""
        weights = one.about.weights
        lines.append(f"{one.name}: weights {weights.name}, sha256 {weights.sha256[:12]}; ran on {one.runs_on}{changed}")
    for row in record.results:
        found = [
            f"{count} {what}"
            for count, what in ((row.empty, "empty masks"), (row.not_finite, "answers with NaN or infinite logits"))
            if count
        ]
        if found:
            lines.append(f"{row.subject}, {row.set}: {' and '.join(found)}")
    if any(not one.about.weights.trained for one in record.subjects):
        lines.append("untrained weights: these masks mean nothing")
    return lines


def _about(one: Set, record: Record) -> str:
    boxes = one.boxes
    moved = (
        ""
        if boxes.shift is None
        else f" (centre by up to {boxes.shift:g}, sides by up to {boxes.scale:g}, seed {record.seed})"
    )
    named = f"{one.name}: " if one.name == one.annotations else f"{one.name}: {one.annotations} "
    dropped = ", ".join(f"{count} {what}" for what, count in boxes.dropped.items())
    return (
        f"{named}by {one.rules.upper()}'s rules, {one.objects} objects and {one.crowds} crowds "
        f"in {one.images} images"
        + (f", drawn by seed {record.seed}" if record.limit is not None else "")
        + f", sha256 {one.sha256[:12]}; boxes: {boxes.source}{moved}"
        + (f" of {boxes.file}" if boxes.file else "")
        + f", sha256 {boxes.sha256[:12]}"
        + (f"; left out: {dropped}" if dropped else "")
    )


def markdown(records: Sequence[Record]) -> str:
    """The tables as GitHub shows them, each record with what must be known of it."""
    return records_as_markdown(records, tables, notes)
