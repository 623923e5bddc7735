"""Taking turns: everything once in each round, in an order that the seed draws, with a display."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.results import Report

One = TypeVar("One")


def turns(
    every: Sequence[One], report: Report, console: Console, name: Callable[[One], str]
) -> Iterator[tuple[One, int]]:
    """Yield each with a seed of its own, `report.rounds` times; `name` is what the display says.

    How busy the machine is goes into the report after each.
    """
    what = TextColumn("{task.description}")
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), what)
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=report.rounds * len(every))
        for number in range(report.rounds):
            chance = random.Random(f"{report.seed}:{number}")  # noqa: S311 (no secret)
            for one in chance.sample(every, len(every)):
                progress.update(bar, description=name(one))
                yield one, chance.randrange(2**31)
                report.note_load()
                progress.advance(bar)
