"""The long version: the whole store under faults, over each database, and the table that counts.

    python -m tests.storefaults [--seed 1] [--kills 200] [--others 4] [--database sqlite]

Ends with 1 if an order misses an effect, has one twice, ran twice at once, or took longer than it
may after a fault was healed; or if the way without an outbox lost nothing, for then the count
itself could not be trusted.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tests.storefaults.audit import BETWEEN, Figures
from tests.storefaults.campaign import Campaign, plan_of
from tests.storefaults.faults import FAULTS
from tests.storefaults.world import KINDS, Kind, Way, World

LEASE = 10.0
"""The one that is set where nothing else is."""

AFTER_LEASE = 5.0
"""Seconds beside the lease until all is done after a fault was healed."""

TOLD_EVERY = 25
"""After so many faults, a line tells how far it is where no terminal shows it all the time."""

HEAD = (
    *("way", "database", "kills between", "other faults", "answered", "orders", "effects missing"),
    *("sold twice", "pieces off", "mails twice", "at once", "run by hand", "bodies begun"),
    "until done, s",
)


def run(
    console: Console, way: Way, kind: Kind, seed: int, counts: dict[str, int]
) -> tuple[str, Figures]:
    """Run one campaign with a progress line; return its row of the table, and its figures."""
    chance = random.Random(f"{seed} {way} {kind}")  # noqa: S311 (no secret)
    plan, begun, name = plan_of(chance, counts), time.monotonic(), f"{way}, {kind}"
    with (
        tempfile.TemporaryDirectory(prefix="storefaults-") as directory,
        World(Path(directory), kind, lease=LEASE, way=way) as world,
        console.status(name) as status,
    ):

        def tell(figures: Figures) -> None:
            done, latest = figures.faults.total(), figures.recoveries[-1:]
            line = f"{name}: fault {done} of {len(plan)}, {figures.orders} orders {latest}"
            status.update(line)
            if not console.is_terminal and done % TOLD_EVERY == 0:
                console.print(line, markup=False)

        figures = Campaign(world, chance, tell=tell).run(plan)
    console.print(f"{name}: {figures.faults.total()} faults, {time.monotonic() - begun:.0f} s")
    slowest = sorted(figures.recoveries, reverse=True)[:5]
    console.print(
        f"  slowest: {slowest}; answers of 5xx: {figures.refused}, none: {figures.cut_off}"
    )
    for line in figures.odd:
        console.print(f"  {line}", markup=False)
    line = row(way, kind, figures)
    console.print(line, soft_wrap=True)
    return line, figures


def row(way: Way, kind: Kind, figures: Figures) -> str:
    """Return the figures in the order of the table's head."""
    counts = (
        *(figures.faults[BETWEEN], figures.others, figures.answered, figures.orders, figures.lost),
        *(figures.sold_twice, figures.pieces_off, figures.mailed_twice, figures.concurrent),
        *(figures.given_up, figures.begun),
    )
    return _line(way, kind, *map(str, counts), figures.recovery())


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    """Run every campaign, print the table, and return 0 if all is as promised."""
    parser = argparse.ArgumentParser(prog="python -m tests.storefaults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=200, help="between commit and publish")
    parser.add_argument("--others", type=int, default=4, help="of each other kind")
    parser.add_argument("--old-kills", type=int, default=20, help="the way without an outbox")
    parser.add_argument("--database", choices=KINDS, help="only this one")
    options = parser.parse_args()
    console, begun = Console(highlight=False, width=200), time.monotonic()
    console.print(f"seed {options.seed}")
    counts = dict.fromkeys(FAULTS, options.others) | {BETWEEN: options.kills}
    kinds = [options.database] if options.database else KINDS
    ours = [run(console, "outbox", kind, options.seed, counts) for kind in kinds]
    old_counts = {BETWEEN: options.old_kills}
    old = [run(console, "delay", kind, options.seed, old_counts) for kind in kinds[:1]]
    lines = [line for line, _ in (*ours, *old)]
    for line in (_line(*HEAD), _line(*("---",) * len(HEAD)), *lines):
        console.print(line, soft_wrap=True)
    console.print(f"{time.monotonic() - begun:.0f} s in all")
    wrong = [figures.wrong(LEASE + AFTER_LEASE) for _, figures in ours]
    for found in filter(None, wrong):
        console.print(f"not as promised: {found}", markup=False)
    seen = not old or options.old_kills == 0 or any(figures.lost for _, figures in old)
    if not seen:
        console.print("the way without an outbox lost nothing: the count sees too little")
    return 0 if seen and not any(wrong) else 1


if __name__ == "__main__":
    sys.exit(main())
