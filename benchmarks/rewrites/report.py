"""Records for people: the tables and notes that the terminal, the docs and the page share."""

from collections.abc import Sequence

from lightsam_benchmarks.latency.report import milliseconds
from lightsam_benchmarks.machine import circumstances
from lightsam_benchmarks.tables import Table, records_as_markdown

from .record import OK, Group, Profile, Record, Result, Timed
from .table import ACTIVATIONS, CONVERSION, MEMORY, TIME, left_out

_OPERATIONS = 12
"""Types that a table names; what is left is added up."""
_UNTRAINED = "seeded weights: as fast as trained ones, useless for masks"


def tables(record: Record) -> list[Table]:
    """The rows, what each rewrite is worth, the files behind them, and what is missing."""
    there = [one for one in record.results if one.status == OK]
    rows = [one for one in there if not left_out(one.against)]
    alone = [one for one in there if left_out(one.against)]
    missing = [one for one in record.results if one.status != OK]
    made = [
        Table(
            "What rewritten graphs are worth",
            ("model", "what", "format", "against", "ours", "baseline", "ratio", "95 % interval", "target", ""),
            tuple(map(_row, rows)),
            4,
        ),
        Table(
            "Each rewrite left out alone: time without it over time with it",
            ("model", "what", "format", "rewrite", "with", "without", "ratio", "95 % interval"),
            tuple((*_row(one)[:3], *left_out(one.against), *_row(one)[4:8]) for one in alone),
            4,
        ),
        Table(
            "Files timed by turns, milliseconds a call",
            ("model", "what", "file", "format", "median", "95 % interval", "min", "rounds", "MB", "dB to the first"),
            tuple(_timed(group, one) for group in record.groups for one in group.subjects),
            4,
        ),
        Table(
            "Peak memory in MB, each file in a process of its own",
            ("model", "what", "file", "format", "running", "loaded and running", "whole process"),
            tuple(
                (
                    *(one.model, one.case, one.subject, one.format),
                    *map(megabytes, (one.running_bytes, one.taken_bytes, one.total_bytes)),
                )
                for one in record.memory
            ),
            4,
        ),
        *(_operations(pair) for pair in profile_pairs(record)),
        Table(
            "Conversion without judgement, in seconds",
            ("model", "step", "seconds"),
            tuple((one.model, step, f"{s:.1f}") for one in record.models for step, s in one.conversion_s.items()),
            2,
        ),
        Table(
            "Not measured",
            ("what", "status", "why"),
            tuple((one.name, one.status, one.message) for one in missing),
            3,
        ),
    ]
    return [table for table in made if table.rows]


def _row(one: Result) -> tuple[str, ...]:
    shown = {TIME: milliseconds, MEMORY: megabytes, ACTIVATIONS: megabytes, CONVERSION: "{:.0f}".format}[one.kind]
    unit = {TIME: " ms", MEMORY: " MB", ACTIVATIONS: " MB", CONVERSION: " s"}[one.kind]
    sides = ("" if side is None else f"{shown(side)}{unit}" for side in (one.ours, one.baseline))
    ratio = "" if one.kind == CONVERSION or one.value is None else f"{one.value:.2f}"
    interval = "" if one.interval is None else f"{one.interval[0]:.2f} to {one.interval[1]:.2f}"
    bound = "at least" if one.kind == TIME else "at most"
    target = "" if one.target is None else f"{bound} {one.target:g}{unit if one.kind == CONVERSION else ''}"
    verdict = {True: "reached", False: "MISSED", None: ""}[one.met]
    return (one.model, one.what, one.format, one.against, *sides, ratio, interval, target, verdict)


def _timed(group: Group, one: Timed) -> tuple[str, ...]:
    low, high = one.summary.interval_ms
    return (
        group.model,
        group.case,
        one.subject,
        one.format,
        milliseconds(one.summary.median_ms),
        f"{milliseconds(low)} to {milliseconds(high)}",
        milliseconds(one.summary.min_ms),
        f"{one.summary.count}",
        megabytes(one.size_bytes),
        "equal" if one.psnr_db is None else f"{one.psnr_db:.0f}",
    )


def megabytes(value: float) -> str:
    """With three digits, of so many bytes."""
    return f"{value / 1e6:.0f}" if value >= 1e8 else f"{value / 1e6:.1f}"


def profile_pairs(record: Record) -> list[tuple[Profile, Profile]]:
    """Before and after, of everything that was profiled."""
    cases: dict[tuple[str, str], list[Profile]] = {}
    for one in record.profiles:
        cases.setdefault((one.model, one.case), []).append(one)
    return [(before, after) for before, after in (pair for pair in cases.values() if len(pair) == 2)]


def compared_operations(before: Profile, after: Profile) -> list[tuple[str, float, float]]:
    """Milliseconds of every type of operation before and after: those that take longest, and the rest together."""
    names = dict.fromkeys((*before.ms, *after.ms))
    both = [(name, before.ms.get(name, 0.0), after.ms.get(name, 0.0)) for name in names]
    both.sort(key=lambda one: -max(one[1:]))
    shown, rest = both[:_OPERATIONS], both[_OPERATIONS:]
    if rest:
        shown.append((f"{len(rest)} others", sum(one[1] for one in rest), sum(one[2] for one in rest)))
    return shown


def _operations(pair: tuple[Profile, Profile]) -> Table:
    before, after = pair
    rows = [*compared_operations(before, after), ("together", sum(before.ms.values()), sum(after.ms.values()))]
    return Table(
        f"{after.model}, {after.case}: milliseconds by type of operation, ONNX Runtime",
        ("operation", before.subject, after.subject),
        tuple((name, f"{old:.1f}", f"{new:.1f}") for name, old, new in rows),
        1,
    )


def notes(record: Record) -> list[str]:
    """What a reader must know of a run, a line each."""
    machine, method = record.machine, record.method
    loads = (" ".join(f"{one:.2f}" for one in loads) for loads in (machine.load_before, machine.load_after))
    lines = [
        f"{machine.chip}, {machine.usable_cores} usable cores, {machine.memory_bytes / 2**30:.0f} GiB, {machine.os}; "
        f"load average {' before and '.join(loads)} after",
        f"{record.created}; " + circumstances(record.lightsam, record.git, record.python, record.versions),
        f"float32, {method.threads} threads; at least {method.rounds} rounds and {method.min_time_s:g} s, in "
        f"{method.processes} processes; in each round every file once, in an order drawn anew, after "
        f"{method.pause_s * 1e3:g} ms of pause and an uncounted call",
    ]
    for one in record.models:
        authors = f"; the authors' code: commit {one.authors[:12]}" if one.authors else ""
        lines.append(f"{one.model} at {one.image_size}: {one.weights.title}{authors}")
        lines += [f"{one.model}, {file}: {', '.join(names)}" for file, names in one.rewrites.items() if names]
    if any(not one.weights.trained for one in record.models):
        lines.append(_UNTRAINED)
    return lines


def markdown(records: Sequence[Record]) -> str:
    """The tables as GitHub shows them, and what must be known of each run."""
    return records_as_markdown(records, tables, notes)
