"""Records for people: the tables and notes that the terminal, the docs and the page share."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from lightsam.catalogue import IPHONE_12, M1_PRO
from lightsam.models import MODELS
from lightsam.models.card import ONE_GPU
from lightsam.stages import STAGE_NAMES
from lightsam_benchmarks.machine import circumstances
from lightsam_benchmarks.tables import Table, as_markdown

from .pytorch import REFERENCE
from .record import (
    CALL,
    EVERYTHING,
    FIRST_MASK,
    IMAGE,
    IN_RUNTIMES,
    OK,
    PAIR,
    PROMPTS,
    SCOPES,
    Record,
    Result,
)
from .summary import Summary

PUBLISHED_ON = (IPHONE_12, M1_PRO, ONE_GPU)
"""Devices that authors give figures for."""
_OUTSIDE = (
    "outside the runtimes: lightsam's own part, which prepares the image, encodes prompts, and sizes and chooses masks"
)
_UNTRAINED = "seeded weights: as fast as trained ones, useless for masks"


def tables(records: Sequence[Record]) -> list[Table]:
    """Stages, pairs, what did not run, and the published figures beside ours."""
    results = [(record, result) for record in records for result in record.results]
    results.sort(key=lambda pair: (pair[1].subject.key[:2], SCOPES.index(pair[1].scope)))  # else in the order of runs
    several = len(records) > 1
    stages = [(record, one) for record, one in results if one.status == OK and one.scope in STAGE_NAMES]
    pairs = [(record, one) for record, one in results if one.status == OK and one.scope == PAIR]
    whole = [(record, one) for record, one in results if one.status == OK and one.scope == EVERYTHING]
    failed = [(record, one) for record, one in results if one.status != OK]
    run = ("run",) if several else ()
    made = [
        Table(
            "Stages, in milliseconds",
            (*run, *_WHAT, "parity", "load cold", "load warm", "first call", *_STATISTICS, "peak MB", "size MB"),
            tuple(_stage_row(record, result, several) for record, result in stages),
            len(run) + len(_WHAT) + 1,
        ),
        Table(
            "Encoder and decoder together, in milliseconds (medians)",
            (
                *run,
                *_WHAT_PAIR,
                "parity",
                "image to first mask",
                *map(_of_prompts, PROMPTS.values()),
                "peak MB",
            ),
            tuple(_pair_row(record, result, several) for record, result in pairs),
            len(run) + len(_WHAT_PAIR) + 1,
        ),
        Table(
            "Everything in an image",
            (*run, *_WHAT_PAIR, "parity", *_EVERYTHING, "peak MB"),
            tuple(_everything_row(record, result, several) for record, result in whole),
            len(run) + len(_WHAT_PAIR) + 1,
        ),
        _published(stages, several),
        Table(
            "Not measured",
            (*run, *_WHAT, "status", "why"),
            tuple((*_run(record, several), *_what(one), one.status, one.message) for record, one in failed),
            len(run) + len(_WHAT) + 2,
        ),
    ]
    return [table for table in made if table.rows]


_WHAT = ("model", "export", "stage", "unit")
_WHAT_PAIR = ("model", "export", "unit")
_EVERYTHING = (
    "seconds an image",
    "95 % interval",
    "images a minute",
    "points",
    "decoder calls",
    "masks",
    "outside the runtimes",
)
_ON_THE_PAGE_ALONE = ("load warm", "min", "p99", "spread", "n")
_STATISTICS = ("median", "95 % interval", "min", "p90", "p99", "spread", "n")


def milliseconds(value: float) -> str:
    """Three digits, or two below 1 ms."""
    return f"{value:.0f}" if value >= 100 else (f"{value:.1f}" if value >= 10 else f"{value:.2f}")


def _run(record: Record, several: bool) -> tuple[str, ...]:
    """What tells the runs of one table apart."""
    return (f"{record.machine.chip}, {record.created}",) if several else ()


def _what(result: Result) -> tuple[str, ...]:
    return (result.subject.name, result.subject.export, result.scope, _unit(result))


def _unit(result: Result) -> str:
    """What was asked for; what it came to, where that is another."""
    unit = result.unit
    selection = unit.requested if unit.actual in ("", unit.requested) else f"{unit.requested} (ran on {unit.actual})"
    if result.residency:
        shares = ", ".join(f"{share.cost:.0%} {share.device}" for share in result.residency)
        return f"{selection}: {shares}"
    return selection


def parity(result: Result) -> str:
    """How exact it is; with who said so, where that is not what was timed."""
    found = result.parity
    if found is None:
        is_reference = (
            result.subject.format == "torch" and (result.subject.precision, result.unit.requested) == REFERENCE
        )
        return "reference" if is_reference else "not judged"
    decibels = "exact" if found.worst_psnr_db is None else f"{found.worst_psnr_db:.0f} dB"
    if not found.passed:
        return f"FAILED, {decibels}" if found.worst_psnr_db is not None else "FAILED"
    elsewhere = not found.judge.endswith(f", {result.unit.actual}")
    return f"{decibels}, judged by {found.judge}" if elsewhere else decibels


def _interval(summary: Summary) -> str:
    low, high = summary.interval_ms
    return f"{milliseconds(low)} to {milliseconds(high)}"


def _mean(values: Iterable[float]) -> str:
    return milliseconds(fmean(values))


def _peak(result: Result) -> str:
    """Of the process, less what it held before the file was loaded; the largest of the rounds."""
    peaks = [
        one.peak_memory_bytes - one.memory_before_bytes
        for one in result.rounds
        if one.peak_memory_bytes is not None and one.memory_before_bytes is not None
    ]
    return f"{max(peaks) / 1e6:.0f}" if peaks else ""


def _stage_row(record: Record, result: Result, several: bool) -> tuple[str, ...]:
    summary = result.summaries[CALL]
    return (
        *_run(record, several),
        *_what(result),
        parity(result),
        _mean(one.load_cold_ms for one in result.rounds),
        _mean(one.load_warm_ms for one in result.rounds),
        _mean(one.first_call_ms for one in result.rounds),
        milliseconds(summary.median_ms),
        _interval(summary),
        milliseconds(summary.min_ms),
        milliseconds(summary.p90_ms),
        milliseconds(summary.p99_ms),
        f"{summary.spread:.0%}",
        f"{summary.count}" + ("" if all(one.complete for one in result.rounds) else " (few)"),
        _peak(result),
        "" if result.size_bytes is None else f"{result.size_bytes / 1e6:.1f}",
    )


def _of_prompts(count: int) -> str:
    return "1 prompt" if count == 1 else f"{count} prompts"


def _pair_row(record: Record, result: Result, several: bool) -> tuple[str, ...]:
    medians = (result.summaries[name].median_ms for name in (FIRST_MASK, *PROMPTS))
    model, export, _, unit = _what(result)
    return (
        *_run(record, several),
        model,
        export,
        unit,
        parity(result),
        *(milliseconds(median) for median in medians),
        _peak(result),
    )


def _everything_row(record: Record, result: Result, several: bool) -> tuple[str, ...]:
    whole, counts = result.summaries[IMAGE], result.rounds[-1].counts
    all_ms, inside_ms = (sum(sum(one.ms[name]) for one in result.rounds) for name in (IMAGE, IN_RUNTIMES))
    model, export, _, unit = _what(result)
    return (
        *_run(record, several),
        model,
        export,
        unit,
        parity(result),
        f"{whole.median_ms / 1000:.2f}",
        " to ".join(f"{bound / 1000:.2f}" for bound in whole.interval_ms),
        f"{60000 / whole.median_ms:.1f}",
        *(f"{counts[name]}" for name in ("points", "decoder_calls", "masks")),
        f"{1 - inside_ms / all_ms:.1%}",
        _peak(result),
    )


def _published(stages: Sequence[tuple[Record, Result]], several: bool) -> Table:
    """Our medians beside what authors give for their devices."""
    devices = [device for device in PUBLISHED_ON if any(_published_ms(one, device) is not None for _, one in stages)]
    rows = []
    for record, result in stages:
        figures = [_published_ms(result, device) for device in devices]
        if any(figure is not None for figure in figures):
            shown = ("" if one is None else (one if isinstance(one, str) else f"{one:g}") for one in figures)
            ours = milliseconds(result.summaries[CALL].median_ms)
            rows.append((*_run(record, several), *_what(result), ours, *shown))
    run = ("run",) if several else ()
    columns = (*run, *_WHAT, "measured", *(f"published, {device}" for device in devices))
    return Table("Beside published figures, in milliseconds", columns, tuple(rows), len(run) + len(_WHAT))


def _published_ms(result: Result, device: str) -> float | str | None:
    card = MODELS.get(result.subject.model)
    if card is None or result.subject.image_size != card.native_size:
        return None
    return card.published.latency_ms(result.scope, device)


def sources(records: Sequence[Record]) -> list[str]:
    """Where the published figures of these models stand."""
    models = dict.fromkeys(result.subject.model for record in records for result in record.results)
    cards = [MODELS[name] for name in models if name in MODELS]
    found = [f"{one.device}: {one.source}" for card in cards for one in card.published.latencies]
    return list(dict.fromkeys(found))


def notes(record: Record) -> list[str]:
    """What a reader must know of a run, a line each."""
    machine, method = record.machine, record.method
    results = [result for result in record.results if result.status == OK]
    threads = sorted({result.unit.threads for result in results if result.unit.threads is not None})
    before, after = (" ".join(f"{one:.2f}" for one in loads) for loads in (machine.load_before, machine.load_after))
    lines = [
        f"{machine.chip}, {machine.usable_cores} usable cores, {machine.memory_bytes / 2**30:.0f} GiB, {machine.os}, "
        f"power: {machine.power_source}; {', '.join(machine.gpus) or 'no GPU'}",
        f"{record.created}; " + circumstances(record.lightsam, record.git, record.python, record.versions),
        f"{method.rounds} rounds, each in a fresh process; in each {method.warmup} calls of warm-up, then at least "
        f"{method.min_count} and {method.min_time_s:g} s; {', '.join(map(str, threads)) or 'no'} threads; "
        "garbage collector off",
        f"load average {before} before and {after} after" if before else "no load average",
    ]
    lines += [f"{result.subject.title} {result.scope}: {result.message}" for result in results if result.message]
    if any(result.scope == EVERYTHING for result in results):
        lines.append(_OUTSIDE)
    if any(not result.subject.weights.trained for result in record.results):
        lines.append(_UNTRAINED)
    return lines


def markdown(records: Sequence[Record]) -> str:
    """The tables as GitHub shows them, without the narrower columns, and what must be known of each run."""
    parts = [as_markdown(table, _ON_THE_PAGE_ALONE) for table in tables(records)]
    parts += ["\n".join(f"- {line}" for line in notes(record)) for record in records]
    return "\n\n".join(parts) + "\n"
