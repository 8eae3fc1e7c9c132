"""Records for people: the tables and notes that the terminal, the docs and the page share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lightsam_benchmarks.machine import circumstances
from lightsam_benchmarks.tables import Table, records_as_markdown

from .record import Record

_SAM = "https://arxiv.org/abs/2304.02643, table 3"
_REPVIT = "https://github.com/THU-MIG/RepViT, sam/README.md"
_UNTRAINED = "untrained weights: these edges mean nothing"


@dataclass(frozen=True)
class Published:
    """What others state of all 200 test images of BSDS500; their edge NMS is not public."""

    model: str
    ods: float
    ois: float
    ap: float
    source: str


PUBLISHED = (
    Published("SAM, ViT-H", 0.768, 0.786, 0.794, f"{_SAM}; also {_REPVIT}"),
    Published("SAM, ViT-B", 0.743, 0.764, 0.726, _REPVIT),
    Published("MobileSAM", 0.756, 0.768, 0.746, _REPVIT),
    Published("RepViT-SAM", 0.764, 0.786, 0.773, _REPVIT),
)


def tables(record: Record) -> list[Table]:
    """Every subject, and below them what was published; and what each subject took."""
    mine = tuple(
        (
            one.subject,
            f"{one.scores.ods:.4f}",
            f"{one.scores.ods_threshold:.3f}",
            f"{one.scores.ois:.4f}",
            f"{one.scores.ap:.4f}",
            f"{one.scores.r50:.4f}",
        )
        for one in record.results
    )
    theirs = tuple(
        (f"{one.model}, as published", f"{one.ods:.3f}", "", f"{one.ois:.3f}", f"{one.ap:.3f}", "") for one in PUBLISHED
    )
    images = f"{record.data.images} image{'s' if record.data.images > 1 else ''}"
    return [
        Table(
            f"Zero-shot edges, {images}; published rows: the 200 test images of BSDS500",
            ("subject", "ODS", "at threshold", "OIS", "AP", "R50"),
            mine + theirs,
            1,
        ),
        Table(
            f"Medians over {images}",
            ("subject", "masks after box NMS", "seconds for the edges", "seconds for the matching"),
            tuple(
                (
                    one.subject,
                    f"{np.median([image.masks for image in one.images]):.0f}",
                    f"{np.median([image.detection_s for image in one.images]):.1f}",
                    f"{np.median([image.matching_s for image in one.images]):.1f}",
                )
                for one in record.results
            ),
            1,
        ),
    ]


def notes(record: Record) -> list[str]:
    """What a reader must know of a record, a line each."""
    data, recipe = record.data, record.recipe
    dropped = ", ".join(f"{count} {what}" for what, count in data.dropped.items() if count)
    lines = [
        f"data: {data.name}, {data.images} images"
        + (f", drawn by seed {data.seed}" if data.limit is not None else "")
        + (f"; left out of the whole: {dropped}" if dropped else "")
        + f"; sha256 {data.sha256[:12]}",
        f"recipe: {recipe.points_per_side} x {recipe.points_per_side} points, box NMS {recipe.box_nms_thresh:g}; left "
        f"open by the paper: boundary {recipe.boundary}, border {recipe.border} pixels, smoothing {recipe.smoothing:g} "
        f"pixels, edge NMS {recipe.nms}",
        f"matched one to one within {record.tolerance:g} of the diagonal, at {len(record.thresholds)} thresholds",
        f"{record.created}, {record.chip}; "
        + circumstances(record.lightsam, record.git, record.python, record.versions),
    ]
    for one in record.subjects:
        weights = one.about.weights
        lines.append(f"{one.name}: weights {weights.name}, sha256 {weights.sha256[:12]}; ran on {one.runs_on}")
        if one.changed:
            lines.append(f"{one.name}: its files have changed since they were exported")
    for found in record.results:
        broken = sum(image.not_finite for image in found.images)
        if broken:
            lines.append(f"{found.subject}: {broken} masks with NaN or infinite logits, left out")
    if any(not one.about.weights.trained for one in record.subjects):
        lines.append(_UNTRAINED)
    return [*lines, *(f"published, {one.model}: {one.source}" for one in PUBLISHED)]


def markdown(records: Sequence[Record]) -> str:
    """The tables as GitHub shows them, each record with what must be known of it."""
    return records_as_markdown(records, tables, notes)
