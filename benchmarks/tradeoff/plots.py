"""What masks cost against what is gained, as SVG that takes the page's own colours."""

from collections.abc import Callable
from dataclasses import dataclass

from lightsam_benchmarks.latency.plots import COLOURS, INK, figure_of, svg_of

from .record import Record
from .rows import BOTH, Measured

_ENCODER = "encoder"


@dataclass(frozen=True)
class Place:
    """An export in a plot."""

    format: str
    name: str
    x: float
    y: float


def pareto(places: list[Place]) -> list[Place]:
    """Those that no other beats: none is smaller (or faster) and has better masks; from left to right."""
    best: list[Place] = []
    for place in sorted(places, key=lambda one: (one.x, -one.y)):
        if not best or place.y > best[-1].y:
            best.append(place)
    return best


def drawn(record: Record, model: str, prompts: str) -> list[tuple[str, str]]:
    """MIoU over size of both stages, and over the encoder's time, where there are some; by title.

    Raises:
        FormatUnavailableError: if matplotlib is not installed.
    """
    mine = [one for one in record.measured if one.model == model and one.format != "torch"]

    def size(one: Measured) -> float | None:
        row = one.row(BOTH)
        return None if row is None else row.size_bytes / 1e6

    def time(one: Measured) -> float | None:
        row = one.row(_ENCODER)
        if one.precision == "float32":
            return 1.0
        return None if row is None or row.speed is None else 1 / row.speed.value

    plots = []
    for title, scope, axis, label in (
        ("mIoU over size", BOTH, size, "MB, both stages"),
        ("mIoU over latency", _ENCODER, time, "time of the encoder, that of the format's float32 being 1"),
    ):
        places = _places(mine, scope, prompts, axis)
        if len(places) > 1:
            plots.append((f"{title}, {prompts}", _plot(places, f"{model}: {title}, {prompts}", label, prompts)))
    return plots


def _places(mine: list[Measured], scope: str, prompts: str, axis: Callable[[Measured], float | None]) -> list[Place]:
    places = []
    for one in mine:
        row, x = one.row(scope), axis(one)
        for masks in row.masks if row is not None else ():
            if masks.prompts == prompts and x is not None:
                places.append(Place(one.format, one.precision, x, masks.miou))
    return places


def _plot(places: list[Place], label: str, x_label: str, prompts: str) -> str:
    figure, axes = figure_of(9, 5)
    for number, name in enumerate(dict.fromkeys(place.format for place in places)):
        shown = [place for place in places if place.format == name]
        colour = COLOURS[number % len(COLOURS)]
        axes.scatter([one.x for one in shown], [one.y for one in shown], color=colour, label=name, zorder=3)
        for one in shown:
            axes.annotate(one.name, (one.x, one.y), xytext=(5, 4), textcoords="offset points", fontsize=8, color=colour)
    line = pareto(places)
    axes.plot([one.x for one in line], [one.y for one in line], color=INK, linewidth=1, drawstyle="steps-post")
    axes.set_xlabel(x_label, color=INK)
    axes.set_ylabel(f"mIoU, {prompts}", color=INK)
    axes.grid(visible=True, axis="y", color=INK, alpha=0.25, linewidth=0.6)
    axes.legend(frameon=False, labelcolor=INK, fontsize=9, loc="lower right")
    return svg_of(figure, label)
