"""The plots of a page, as SVG that takes the page's own colours."""

import io
from collections.abc import Sequence
from typing import Any

from lightsam.errors import FormatUnavailableError

from .record import CALL, OK, PAIR, Result

_COLOURS = ("#2463c4", "#c4622d", "#2d8f57", "#8a4fc4", "#b8941f", "#c43b68")
_INK = "#7a828c"
"""Grey that can be read on white and on black."""


def _figure(width: float, height: float) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise FormatUnavailableError.for_extra("plots", error.name) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    for spine in axes.spines.values():
        spine.set_color(_INK)
    axes.tick_params(colors=_INK, labelsize=9, which="both")
    axes.grid(visible=True, axis="x", color=_INK, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Any, label: str) -> str:
    import matplotlib

    content = io.StringIO()
    # Text stays text: it can be searched, and takes the page's font. The salt keeps the ids the same every time.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": label, "font.family": "sans-serif"}):
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = content.getvalue()
    return svg[svg.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _stages(results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.status == OK and result.scope != PAIR]


def _name(result: Result) -> str:
    return f"{result.subject.model} {result.subject.export}, {result.unit.requested}"


def latency(results: Sequence[Result], scope: str) -> str:
    """A bar for every export and unit of one stage: the median, with its interval."""
    shown = [result for result in _stages(results) if result.scope == scope]
    figure, axes = _figure(9, 0.9 + 0.32 * len(shown))
    formats = list(dict.fromkeys(result.subject.format for result in results))
    for row, result in enumerate(shown):
        summary = result.summaries[CALL]
        low, high = summary.interval_ms
        colour = _COLOURS[formats.index(result.subject.format) % len(_COLOURS)]
        error = [[summary.median_ms - low], [high - summary.median_ms]]
        axes.barh(row, summary.median_ms, color=colour, xerr=error, ecolor=_INK, capsize=3, height=0.7)
    axes.set_yticks(range(len(shown)), [_name(result) for result in shown])
    axes.invert_yaxis()
    axes.set_xlabel(f"{scope}: median in milliseconds, with its 95 % interval", color=_INK)
    return _svg(figure, f"latency of the {scope}")


def against_size(results: Sequence[Result]) -> str:
    """A dot for every stage's file: its size, and what a call takes."""
    shown = [result for result in _stages(results) if result.size_bytes]
    figure, axes = _figure(9, 4.2)
    for index, scope in enumerate(dict.fromkeys(result.scope for result in shown)):
        dots = [result for result in shown if result.scope == scope]
        sizes = [(result.size_bytes or 0) / 1e6 for result in dots]
        medians = [result.summaries[CALL].median_ms for result in dots]
        axes.scatter(sizes, medians, color=_COLOURS[index], label=scope, marker="os"[index % 2])
        for result, size, median in zip(dots, sizes, medians, strict=True):
            axes.annotate(
                _name(result), (size, median), fontsize=7, color=_INK, xytext=(5, 3), textcoords="offset points"
            )
    axes.set_xlim(0, 1.3 * max((result.size_bytes or 0) / 1e6 for result in shown))  # room for the names
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("size in MB", color=_INK)
    axes.set_ylabel("median in milliseconds", color=_INK)
    axes.legend(labelcolor=_INK, frameon=False)
    return _svg(figure, "latency against size")


def distribution(results: Sequence[Result], scope: str) -> str:
    """Every counted call of one stage, over its median: a column a round, so that drift shows."""
    shown = [result for result in _stages(results) if result.scope == scope]
    figure, axes = _figure(9, 0.9 + 0.42 * len(shown))
    for row, result in enumerate(shown):
        median = result.summaries[CALL].median_ms
        for number, one in enumerate(result.rounds):
            samples = one.ms[CALL]
            # Spread over the row's height in the order of the calls, rounds below one another.
            offsets = [(number + (i + 1) / (len(samples) + 1)) / len(result.rounds) - 0.5 for i in range(len(samples))]
            heights = [row + 0.75 * offset for offset in offsets]
            axes.scatter([s / median for s in samples], heights, s=5, alpha=0.6, color=_COLOURS[number % len(_COLOURS)])
    axes.set_xscale("log")
    left, right = axes.get_xlim()
    ticks = [tick for tick in (0.3, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 30) if left <= tick <= right]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    axes.minorticks_off()
    axes.axvline(1, color=_INK, linewidth=0.8)
    axes.set_yticks(range(len(shown)), [_name(result) for result in shown])
    axes.invert_yaxis()
    axes.set_xlabel(f"{scope}: every counted call over the median; a colour a round, in the order of calls", color=_INK)
    return _svg(figure, f"distribution of the {scope}")
