"""The plots of a page, as SVG that takes the page's own colours."""

import io
from collections.abc import Sequence
from typing import Any

from lightsam.errors import FormatUnavailableError
from lightsam.stages import STAGE_NAMES

from .record import CALL, OK, Result

COLOURS = ("#2463c4", "#c4622d", "#2d8f57", "#8a4fc4", "#b8941f", "#c43b68")
INK = "#7a828c"
"""Grey that can be read on white and on black."""


def figure_of(width: float, height: float) -> tuple[Any, Any]:
    """A figure of so many inches, and its axes.

    Raises:
        FormatUnavailableError: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise FormatUnavailableError.for_extra("plots", error.name) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    for spine in axes.spines.values():
        spine.set_color(INK)
    axes.tick_params(colors=INK, labelsize=9, which="both")
    axes.grid(visible=True, axis="x", color=INK, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def svg_of(figure: Any, label: str) -> str:
    """A figure as an element for a page; ``label`` says what it shows to those who cannot see it."""
    import matplotlib

    content = io.StringIO()
    # Text stays text: it can be searched, and takes the page's font. The salt keeps the ids the same every time.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": label, "font.family": "sans-serif"}):
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = content.getvalue()
    return svg[svg.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _stages(results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.status == OK and result.scope in STAGE_NAMES]


def _name(result: Result) -> str:
    return f"{result.subject.title}, {result.unit.requested}"


def latency(results: Sequence[Result], scope: str) -> str:
    """A bar for every export and unit of one stage: the median, with its interval."""
    shown = [result for result in _stages(results) if result.scope == scope]
    figure, axes = figure_of(9, 0.9 + 0.32 * len(shown))
    formats = list(dict.fromkeys(result.subject.format for result in results))
    for row, result in enumerate(shown):
        summary = result.summaries[CALL]
        low, high = summary.interval_ms
        colour = COLOURS[formats.index(result.subject.format) % len(COLOURS)]
        error = [[summary.median_ms - low], [high - summary.median_ms]]
        axes.barh(row, summary.median_ms, color=colour, xerr=error, ecolor=INK, capsize=3, height=0.7)
    axes.set_yticks(range(len(shown)), [_name(result) for result in shown])
    axes.invert_yaxis()
    axes.set_xlabel(f"{scope}: median in milliseconds, with its 95 % interval", color=INK)
    return svg_of(figure, f"latency of the {scope}")


def against_size(results: Sequence[Result], scope: str) -> str:
    """A dot for every file of one stage: its size, and what a call takes."""
    shown = [result for result in _stages(results) if result.scope == scope and result.size_bytes]
    figure, axes = figure_of(9, 4.2)
    formats = list(dict.fromkeys(result.subject.format for result in results))
    for result in shown:
        dot = (result.size_bytes or 0) / 1e6, result.summaries[CALL].median_ms
        colour = COLOURS[formats.index(result.subject.format) % len(COLOURS)]
        axes.scatter(*dot, color=colour)
        # Names of a model's small files to the left, of its large ones to the right: both may be as fast.
        others = [(one.size_bytes or 0) / 1e6 for one in shown if one.subject.name == result.subject.name]
        side = {"xytext": (-6, -3), "ha": "right"} if max(others) > 1.2 * dot[0] else {"xytext": (6, -3)}
        axes.annotate(_name(result), dot, fontsize=7, color=INK, textcoords="offset points", **side)
    largest = max((result.size_bytes or 0) / 1e6 for result in shown)
    axes.set_xlim(-0.3 * largest, 1.35 * largest)  # room for the names
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= 1.1 * largest])
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"{scope}: size in MB", color=INK)
    axes.set_ylabel("median in milliseconds", color=INK)
    return svg_of(figure, f"latency against size of the {scope}")


def distribution(results: Sequence[Result], scope: str) -> str:
    """Every counted call of one stage, over its median: a column a round, so that drift shows."""
    shown = [result for result in _stages(results) if result.scope == scope]
    figure, axes = figure_of(9, 0.9 + 0.42 * len(shown))
    for row, result in enumerate(shown):
        median = result.summaries[CALL].median_ms
        for number, one in enumerate(result.rounds):
            samples = one.ms[CALL]
            # Spread over the row's height in the order of the calls, rounds below one another.
            offsets = [(number + (i + 1) / (len(samples) + 1)) / len(result.rounds) - 0.5 for i in range(len(samples))]
            heights = [row + 0.75 * offset for offset in offsets]
            axes.scatter([s / median for s in samples], heights, s=5, alpha=0.6, color=COLOURS[number % len(COLOURS)])
    axes.set_xscale("log")
    left, right = axes.get_xlim()
    ticks = [tick for tick in (0.3, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 30) if left <= tick <= right]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    axes.minorticks_off()
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(shown)), [_name(result) for result in shown])
    axes.invert_yaxis()
    axes.set_xlabel(f"{scope}: every counted call over the median; a colour a round, in the order of calls", color=INK)
    return svg_of(figure, f"distribution of the {scope}")
