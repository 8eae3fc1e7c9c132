"""Time by type of operation before and after, as SVG that takes the page's own colours."""

from lightsam_benchmarks.latency.plots import COLOURS, INK, figure_of, svg_of

from .record import Profile
from .report import compared_operations


def operations(before: Profile, after: Profile) -> str:
    """Two bars for every type of operation: what it takes before, and after.

    Raises:
        FormatUnavailableError: if matplotlib is not installed.
    """
    shown = compared_operations(before, after)
    figure, axes = figure_of(9, 1.0 + 0.42 * len(shown))
    for side, (profile, colour) in enumerate(((before, COLOURS[1]), (after, COLOURS[0]))):
        places = [row + (side - 0.5) * 0.4 for row in range(len(shown))]
        label = f"{profile.subject}: {sum(profile.ms.values()):.0f} ms"
        axes.barh(places, [one[1 + side] for one in shown], height=0.38, color=colour, label=label)
    axes.set_yticks(range(len(shown)), [name for name, *_ in shown])
    axes.invert_yaxis()
    axes.set_xlabel(f"{after.model}, {after.case}: milliseconds by type of operation", color=INK)
    axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    return svg_of(figure, f"operations of {after.model}, {after.case}")
