"""Charts as SVG, readable on light and dark pages: each brings its own ground and colours.

bars(...)    groups of horizontal bars to both sides of a line, with the spread of each
lines(...)   panels of curves or dots over one horizontal axis
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_WIDTH = 860
_ROW = 20

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "charts"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Bar:
    """One bar: how long, from where to where it varies, and the text at its end."""

    name: str
    value: float
    least: float
    most: float
    text: str


@dataclass(frozen=True)
class Axis:
    """From numbers to places along one side of a panel, in units of the drawing."""

    least: float
    most: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a number; one beyond the axis is put at its end."""
        scale = math.log10 if self.logarithmic else float
        value = min(max(value, self.least), self.most)
        part = (scale(value) - scale(self.least)) / (scale(self.most) - scale(self.least))
        return round(self.start + part * (self.end - self.start), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Return the places that get a number, and the numbers."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.least)), math.ceil(math.log10(self.most)) + 1)
            numbers = [10.0**power for power in powers]
        else:
            step = _round(self.most - self.least)
            numbers = [number * step for number in range(math.ceil(self.least / step), 100)]
        inside = [number for number in numbers if self.least <= number <= self.most]
        return [(self(number), f"{number:g}") for number in inside]


def _round(length: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten that divides this into 4 to 10 parts."""
    power = 10.0 ** math.floor(math.log10(length))
    return next(step * power for step in (0.1, 0.2, 0.5, 1.0) if length / (step * power) <= 10)


def bars(title: str, groups: Mapping[str, Sequence[Bar]], *, reference: float) -> str:
    """Return the drawing of some groups of bars from `reference` on a logarithmic scale."""
    every = [bar for group in groups.values() for bar in group]
    least = 10 ** math.floor(math.log10(min([reference, *(bar.least for bar in every)]) * 0.999))
    most = 10 ** math.ceil(math.log10(max([reference, *(bar.most for bar in every)]) * 1.001))
    axis = Axis(least, most, 200, _WIDTH - 110, logarithmic=True)
    drawn, y = [], 56
    for name, group in groups.items():
        drawn.append(
            {"name": name, "y": y, "bars": [(y + _ROW * (n + 1), b) for n, b in enumerate(group)]}
        )
        y += _ROW * (len(group) + 1) + 14
    template = _templates.get_template("bars.svg.j2")
    return template.render(
        title=title, groups=drawn, axis=axis, reference=reference, width=_WIDTH, height=y + 30
    )


@dataclass(frozen=True)
class Series:
    """Points of one kind, drawn as a line or as dots."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int
    """Which of the drawing's colours, from 0."""
    dots: bool = False


@dataclass(frozen=True)
class Panel:
    """One drawing among several that share their horizontal axis."""

    title: str
    series: Sequence[Series]
    least: float
    most: float
    logarithmic: bool = False
    height: int = 150


def lines(
    title: str,
    panels: Sequence[Panel],
    *,
    across: str,
    least: float,
    most: float,
    log: bool = False,
) -> str:
    """Return the drawing of panels below each other; `across` names the horizontal axis."""
    x = Axis(least, most, 70, _WIDTH - 20, logarithmic=log)
    drawn, top = [], 66.0
    for panel in panels:
        y = Axis(panel.least, panel.most, top + panel.height, top, logarithmic=panel.logarithmic)
        drawn.append({"panel": panel, "top": top, "bottom": top + panel.height, "y": y})
        top += panel.height + 46
    names = {one.colour: one.name for panel in panels for one in panel.series}
    template = _templates.get_template("lines.svg.j2")
    return template.render(
        title=title, panels=drawn, x=x, across=across, names=names, width=_WIDTH, height=top + 8
    )
