"""Judgements as one self-contained page, for people."""

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from lightsam.version import __version__
from lightsam_exporters.html import render

from .bisect import Bisection
from .masks import DECIDED
from .report import Judged

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 900, 260, 45, 30
_TOP_DB = 160.0
"""Of the plot; an exact match is drawn there."""


def as_html(judged: Sequence[Judged]) -> str:
    """The table of gates, every measurement, errors by operation, answers as images, versions and hashes."""
    return render(
        __package__,
        {"decibels": _decibels, "curve": _curve},
        judged=judged,
        version=__version__,
        decided=DECIDED,
    )


def _decibels(value: float | None, exact: bool) -> str:
    return "exact" if exact or value is None else f"{value:.1f}"


def _curve(found: Bisection) -> Markup:
    """PSNR of every compared value, in the order of the file, as an SVG."""

    def x(index: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - 10) * index / max(1, len(found.steps) - 1)

    def y(decibels: float) -> float:
        shown = 0.0 if math.isnan(decibels) else min(max(decibels, 0.0), _TOP_DB)
        return (_HEIGHT - _BOTTOM) - (_HEIGHT - _BOTTOM - 10) * shown / _TOP_DB

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="PSNR by operation">']
    for decibels in range(0, int(_TOP_DB) + 1, 40):
        level = y(decibels)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{level:.1f}" y2="{level:.1f}" stroke="var(--line)"/>'
            f'<text x="{_LEFT - 6}" y="{level + 4:.1f}" text-anchor="end">{decibels} dB</text>'
        )
    threshold = y(found.threshold_db)
    parts.append(
        f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{threshold:.1f}" y2="{threshold:.1f}" stroke="var(--bad)" '
        'stroke-dasharray="6 4"/>'
    )
    points = " ".join(f"{x(index):.1f},{y(step.psnr_db):.1f}" for index, step in enumerate(found.steps))
    parts.append(f'<polyline points="{points}" fill="none" stroke="var(--curve)" stroke-width="1.5"/>')
    for index, step in enumerate(found.steps):
        radius = 5 if index == found.culprit else 2
        colour = "var(--bad)" if index == found.culprit else "var(--curve)"
        parts.append(
            f'<circle cx="{x(index):.1f}" cy="{y(step.psnr_db):.1f}" r="{radius}" fill="{colour}">'
            f"<title>{escape(step.name)} ({escape(step.op_type)}): {step.psnr_db:.1f} dB</title></circle>"
        )
    parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 8}">operations, in the order of the file</text></svg>')
    return Markup("".join(parts))  # names are escaped above
