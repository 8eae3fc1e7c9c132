"""Records for people: the tables and notes that the terminal, the docs and the page share."""

from collections.abc import Callable, Sequence

from lightsam_benchmarks.machine import circumstances
from lightsam_benchmarks.tables import Table, records_as_markdown

from .evaluation import CLICKS
from .record import Difference, Record, Result
from .scores import SIZES

_UNTRAINED = "untrained weights: these masks mean nothing"


def iou(value: float) -> str:
    """Four digits: a record has five."""
    return f"{value:.4f}"


def _signed(value: float) -> str:
    return f"{round(value, 4) + 0.0:+.4f}"  # no -0.0000


def _interval(interval: tuple[float, float] | None, shown: Callable[[float], str] = iou) -> str:
    return "" if interval is None else f"{shown(interval[0])} to {shown(interval[1])}"


def tables(record: Record) -> list[Table]:
    """Every subject and kind of prompt, the clicks, and what ``--vs`` found."""
    sizes = [name for name, *_ in SIZES]
    counts = {name: score.objects for result in record.results for name, score in result.by_size.items()}
    targets = list(dict.fromkeys(target for result in record.results for target in result.noc))
    made = [
        Table(
            f"Mean IoU with ground truth, {record.data.objects} objects in {record.data.images} images",
            (
                "subject",
                "prompts",
                "mIoU",
                "95 % interval",
                "boundary IoU",
                *(f"{name} ({counts.get(name, 0)})" for name in sizes),
            ),
            tuple(_row(result, sizes) for result in record.results),
            2,
        ),
        Table(
            "Clicks: mean IoU after each, and the clicks to an IoU (objects that get there)",
            ("subject", *(f"{number}" for number in range(1, record.clicks + 1)), *(f"NoC@{iou}" for iou in targets)),
            tuple(_clicks_row(result, targets) for result in record.results if result.prompts == CLICKS),
            1,
        ),
        *differences(record.differences),
    ]
    return [table for table in made if table.rows]


def _row(result: Result, sizes: Sequence[str]) -> tuple[str, ...]:
    return (
        result.subject,
        result.prompts,
        iou(result.miou),
        _interval(result.interval),
        iou(result.boundary_iou),
        *(iou(result.by_size[name].miou) if name in result.by_size else "" for name in sizes),
    )


def _clicks_row(result: Result, targets: Sequence[str]) -> tuple[str, ...]:
    reached = (result.noc.get(target) for target in targets)
    shown = ("" if one is None else f"{one.clicks:.2f} ({one.share:.0%})" for one in reached)
    return (result.subject, *map(iou, result.after_click), *shown)


def differences(found: Sequence[Difference]) -> list[Table]:
    """Pairs of subjects on the same objects; none if there is none."""
    rows = tuple(
        (
            one.a,
            one.b,
            one.prompts,
            f"{one.objects}",
            iou(one.miou_a),
            iou(one.miou_b),
            _signed(one.difference),
            _interval(one.interval, _signed),
            iou(one.largest_loss),
            _verdict(one),
        )
        for one in found
    )
    columns = ("A", "B", "prompts", "objects", "A mIoU", "B mIoU", "B - A", "95 % interval", "largest loss", "")
    return [Table("Two subjects on the same objects", columns, rows, 3)] if rows else []


def _verdict(one: Difference) -> str:
    if one.interval is None:
        return "one image: no interval"
    if one.is_noise:
        return "no difference beyond noise"
    return f"{'B' if one.difference > 0 else 'A'} is better"


def notes(record: Record) -> list[str]:
    """What a reader must know of a record, a line each."""
    data, rules = record.data, record.protocol
    dropped = ", ".join(f"{count} {what}" for what, count in data.dropped.items() if count)
    lines = [
        f"data: {data.name} ({data.kind}), {data.objects} objects in {data.images} images"
        + (f", drawn by seed {record.seed}" if data.limit is not None else "")
        + (f", annotator {data.annotator}" if data.annotator else "")
        + (f"; left out of the whole: {dropped}" if dropped else "")
        + f"; sha256 {data.sha256[:12]}",
        f"protocol {rules.name} ({rules.source}): box {rules.box_from}, answered by {rules.box_mask}; point by "
        f"{rules.point_mask}; several clicks by {rules.clicks_mask}, each at the {rules.next_click}, "
        f"{'with' if rules.mask_prompt else 'without'} the mask before; crowds {'in' if rules.crowds else 'left out'}; "
        f"measured at the size of the {rules.resolution}",
        f"{record.created}, {record.chip}; "
        + circumstances(record.lightsam, record.git, record.python, record.versions),
    ]
    weights: dict[tuple[str, str], list[str]] = {}
    for one in record.subjects:
        weights.setdefault((one.about.weights.name, one.about.weights.sha256[:12]), []).append(one.name)
    for (name, digest), subjects in weights.items():
        whose = "" if len(weights) == 1 else f" of {', '.join(subjects)}"
        lines.append(f"weights{whose}: {name}, sha256 {digest}")
    lines += [f"{one.name} ran on {one.runs_on}" for one in record.subjects]
    lines += [f"{one.name}: its files have changed since they were exported" for one in record.subjects if one.changed]
    lines += [
        f"{one.subject}, {one.prompts}: {one.not_finite} answers with NaN or infinite logits"
        for one in record.results
        if one.not_finite
    ]
    if any(not one.about.weights.trained for one in record.subjects):
        lines.append(_UNTRAINED)
    return lines


def markdown(records: Sequence[Record]) -> str:
    """The tables as GitHub shows them, each record with what must be known of it."""
    return records_as_markdown(records, tables, notes)
