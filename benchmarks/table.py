"""Figures of several sides over several rounds: as a table for people, and as Markdown."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from benchmarks.measures import Figure, Measure

Samples = Mapping[tuple[Measure, str], Sequence[Mapping[Figure, float]]]
"""By measure and side's name: one mapping for each round."""

HEADINGS = ("measured", "unit", "side", "median", "ratio to Expresslane", "spread of the ratio")


@dataclass(frozen=True)
class Row:
    """One figure of one side."""

    measure: Measure
    figure: Figure
    side: str
    median: float
    ratios: Sequence[float]
    """To the first side's figure of the same round."""

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(self.ratios)

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts of the table's columns."""
        number = f"{self.median:,.0f}" if self.median >= 100 else f"{self.median:.3g}"
        spread = f"{min(self.ratios):.2f} to {max(self.ratios):.2f}"
        what = (self.measure.title, self.figure.unit, self.side)
        return (*what, number, f"{self.ratio:.2f}", spread)


def rows(samples: Samples, sides: Sequence[str]) -> list[Row]:
    """Return a row for each figure of each side, the figures of one kind together."""
    found = []
    for measure in dict.fromkeys(measure for measure, _ in samples):
        for figure in samples[measure, sides[0]][0]:
            base = [values[figure] for values in samples[measure, sides[0]]]
            for side in sides:
                own = [values[figure] for values in samples[measure, side]]
                ratios = [mine / other for mine, other in zip(own, base, strict=True)]
                found.append(Row(measure, figure, side, statistics.median(own), ratios))
    return found


def summary(found: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return headings and lines of a short table: a line for each measure, a column for each side.

    It has the first figure of each measure alone; of every side but the first, the ratio to it with
    its spread.
    """
    firsts = {row.measure: row.figure for row in reversed(found)}
    lines: dict[Measure, list[str]] = {}
    for row in found:
        if row.figure == firsts[row.measure]:
            *_, number, ratio, spread = row.cells
            line = lines.setdefault(row.measure, [row.measure.title, f"{number} {row.figure.unit}"])
            if row.side != found[0].side:
                line.append(f"{ratio} ({spread})")
    return ["measured", *dict.fromkeys(row.side for row in found)], list(lines.values())


def laid_out(found: Iterable[Row]) -> Table:
    """Return them for the terminal; what is the same as in the row before is left out."""
    table = Table(*HEADINGS)
    before = ("", "")
    for row in found:
        what, unit, *rest = row.cells
        table.add_row(*(("", "") if (what, unit) == before else (what, unit)), *rest)
        before = (what, unit)
    return table


def markdown(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    ruled = [headings, ["---"] * len(headings), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in ruled)
