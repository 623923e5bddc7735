"""Charts as SVG, drawn on the server: they need no script, and print as they are.

A chart is a picture of a table that stands beside it, which has the numbers for everybody.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

WIDTH, HEIGHT = 720, 180
LEFT, BOTTOM, TOP = 60, 24, 14

HALF_LABEL = 30
"""Half of a label's width, at most."""

_WIDE, _HIGH = WIDTH - LEFT - 4, HEIGHT - BOTTOM - TOP


@dataclass(frozen=True)
class Line:
    """One row of numbers, over the steps of time."""

    name: str
    style: str
    """Its class in the style sheet, which gives its colour."""
    values: Sequence[float | None]
    """None: nothing is known of this step."""


def bars(title: str, unit: str, lines: Sequence[Line], times: Sequence[str]) -> str:
    """Draw the lines as bars on top of each other.

    Args:
        title: what the picture shows, for who cannot see it.
        unit: what the numbers count.
        lines: the lowest first.
        times: what to write below the axis, one for each step; empty for none.

    """
    sums = [sum(line.values[i] or 0 for line in lines) for i in range(len(times))]
    most = _nice(max(sums, default=0))
    wide = _WIDE / max(len(times), 1)
    parts = []
    low = [0.0] * len(times)
    for line in lines:
        for i, value in enumerate(line.values):
            if value:
                y, high = _y(low[i] + value, most), value / most * _HIGH
                parts.append(
                    f'<rect class="{line.style}" x="{LEFT + i * wide + 0.5:.1f}" y="{y:.1f}" '
                    f'width="{max(wide - 1, 0.5):.1f}" height="{high:.1f}"/>'
                )
                low[i] += value
    return _picture(title, most, unit, times, parts)


def curves(title: str, unit: str, lines: Sequence[Line], times: Sequence[str]) -> str:
    """Draw the lines as curves, with gaps where nothing is known. The arguments are as for bars."""
    most = _nice(max((value or 0 for line in lines for value in line.values), default=0))
    wide = _WIDE / max(len(times), 1)
    parts = []
    for line in lines:
        path, is_up = "", False
        for i, value in enumerate(line.values):
            if value is None:
                is_up = False
                continue
            x, y = LEFT + (i + 0.5) * wide, _y(value, most)
            path += f"{'L' if is_up else 'M'}{x:.1f} {y:.1f}"
            is_up = True
            # A step between two gaps has no line to show it.
            parts.append(f'<circle class="{line.style}" cx="{x:.1f}" cy="{y:.1f}" r="1.5"/>')
        parts.append(f'<path class="{line.style}" d="{path}"/>' if path else "")
    return _picture(title, most, unit, times, parts)


def _picture(title: str, most: float, unit: str, times: Sequence[str], parts: Sequence[str]) -> str:
    wide = _WIDE / max(len(times), 1)
    grid = "".join(
        f'<path class="grid" d="M{LEFT} {_y(share * most, most):.1f}H{WIDTH - 4}"/>'
        f'<text class="axis" x="{LEFT - 4}" y="{_y(share * most, most) + 4:.1f}" '
        f'text-anchor="end">{_number(share * most)}</text>'
        for share in (0, 0.5, 1)
    )
    shown = [(LEFT + (i + 0.5) * wide, time) for i, time in enumerate(times) if time]
    below = "".join(
        # A label in the middle of the last step would reach over the edge.
        f'<text class="axis{" every-other" * (n % 2)}" x="{min(x, WIDTH - HALF_LABEL):.1f}" '
        f'y="{HEIGHT - 6}" text-anchor="middle">{escape(time)}</text>'
        for n, (x, time) in enumerate(shown)
    )
    label = quoteattr(f"{title}, {unit}")
    return (
        f'<svg class="monitor-chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f"aria-label={label}>{grid}{below}{''.join(parts)}</svg>"
    )


def _y(value: float, most: float) -> float:
    return TOP + _HIGH * (1 - value / most)


def _nice(most: float) -> float:
    """Return the top of an axis: 1, 2 or 5 times a power of ten, not below this."""
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= most * 0.999))


def _number(value: float) -> str:
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"
