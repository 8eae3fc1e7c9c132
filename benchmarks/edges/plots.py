"""Precision over recall, as SVG that takes the page's own colours."""

import numpy as np

from lightsam_benchmarks.latency.plots import COLOURS, INK, figure_of, svg_of

from .record import Record

_LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def curve(record: Record) -> str:
    """A curve a subject, a dot where its F-measure is best, and lines of equal F-measure.

    Raises:
        FormatUnavailableError: if matplotlib is not installed.
    """
    figure, axes = figure_of(7, 6)
    for level in _LEVELS:
        recall = np.linspace(level / (2 - level), 1, 100)
        axes.plot(recall, level * recall / (2 * recall - level), color=INK, alpha=0.35, linewidth=0.6, zorder=1)
        axes.annotate(f"F {level:g}", (1.005, level / (2 - level)), fontsize=7, color=INK, annotation_clip=False)
    for number, one in enumerate(record.results):
        colour = COLOURS[number % len(COLOURS)]
        recall, precision = np.array(one.scores.recall), np.array(one.scores.precision)
        drawn = recall + precision > 0  # a threshold above all edges is no point
        label = f"{one.subject}: ODS {one.scores.ods:.3f}"
        axes.plot(recall[drawn], precision[drawn], color=colour, label=label, zorder=3)
        at = [float(np.interp(one.scores.ods_threshold, record.thresholds, values)) for values in (recall, precision)]
        axes.scatter(*at, color=colour, zorder=4)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("recall", color=INK)
    axes.set_ylabel("precision", color=INK)
    axes.legend(frameon=False, labelcolor=INK, fontsize=9, loc="lower left")
    return svg_of(figure, "precision over recall of edges")
