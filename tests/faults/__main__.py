"""`make faults`: the long version. Kills under load in every pool, then the table that counts.

    python -m tests.faults [--seed 1] [--kills 66] [--stock-kills 30]

Every wait has its end, and each campaign as a whole has one too; what goes beyond it ends the run
with an error that names the directory of the logs. Ends with 1 if a job was lost, an effect doubled
or a state wrong here, or if the stock transport lost nothing: then the count itself could not be
trusted.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from tests.faults.arena import POOLS, Arena, Pool, Transport
from tests.faults.campaign import Campaign, plan_of
from tests.faults.figures import Figures, middle_and_most

DEFAULT_LEASE = 10.0
SECONDS_A_FAULT, SECONDS_AT_LEAST = 30, 180
"""How long a campaign may take, several times what it does on two busy cores."""

HEAD = (
    *("transport", "pool", "lease", "kills", "other faults", "accepted", "refused", "executed"),
    *("lost", "given up", "ran twice", "effects twice", "not Complete", "recovery, s"),
)


def plan(chance: random.Random, pool: Pool, kills: int, *, others: bool) -> list[str]:
    """Return so many kills, and some of every other fault."""
    child = kills // 3 if pool == "prefork" else 0
    parent = (kills - child) // 2
    counts = {"kill_group": kills - child - parent, "kill_parent": parent, "kill_child": child}
    if others:
        counts |= {"terminate": 6, "freeze": 3, "restart_server": 4}
        counts |= {"cut_connections": 4, "forget_scripts": 4}
    return plan_of(chance, **counts)


@contextmanager
def at_most(seconds: int, what: str) -> Iterator[None]:
    """Raise TimeoutError, naming what it was, in whatever is still going on after these seconds."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"not at its end after {seconds} s: {what}")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run(
    console: Console,
    transport: Transport,
    pool: Pool,
    seed: int,
    kills: int,
    lease: float = 2,
    *,
    others: bool = True,
) -> tuple[str, ...]:
    """Run one campaign with a progress line, and return its row of the table."""
    chance = random.Random(f"{seed} {transport} {pool} {lease}")  # noqa: S311 (no secret)
    name, begun = f"{transport:5} {pool:7} lease {lease:g} s", time.monotonic()
    faults = plan(chance, pool, kills, others=others)
    directory = Path(tempfile.mkdtemp(prefix="faults-"))
    seconds = SECONDS_AT_LEAST + SECONDS_A_FAULT * len(faults)
    with (
        at_most(seconds, f"{name}, logs in {directory}"),
        Arena(directory, lease=lease, transport=transport) as arena,
        console.status(name) as status,
    ):

        def tell(figures: Figures) -> None:
            status.update(
                f"{name}: fault {figures.faults.total()} of {len(faults)}, "
                f"{figures.accepted} jobs accepted, {figures.executed} executed"
            )

        figures = Campaign(arena, pool, chance, tell=tell).run(faults)
    if transport == "ours" and figures.broken_promises:
        console.print(f"{name}: logs in {directory}")
    else:
        shutil.rmtree(directory)
    console.print(f"{name}: {figures.faults.total()} faults in {time.monotonic() - begun:.0f} s")
    cells = row(transport, pool, lease, figures)
    # At once: what is measured shall not be lost if a later campaign cannot end.
    console.print("| " + " | ".join(cells) + " |", soft_wrap=True)
    return cells


def row(transport: Transport, pool: Pool, lease: float, figures: Figures) -> tuple[str, ...]:
    """Return the figures in the order of the table's head."""
    counts = (
        *(figures.kills, figures.faults.total() - figures.kills, figures.accepted),
        *(figures.refused, figures.executed, figures.lost, figures.given_up, figures.ran_twice),
        *(figures.effects_twice, figures.not_complete),
    )
    shown = f"{lease:g} s" if transport == "ours" else "-"
    recovery = middle_and_most(figures.recoveries)
    return (transport, pool, shown, *map(str, counts), recovery)


def main() -> int:
    """Run every campaign, print the table, and return 0 if all is as promised."""
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=66, help="in each pool")
    parser.add_argument("--stock-kills", type=int, default=30, help="in each pool")
    options = parser.parse_args()
    console, begun = Console(highlight=False, width=200), time.monotonic()
    console.print(f"seed {options.seed}")
    rows = [run(console, "ours", pool, options.seed, options.kills) for pool in POOLS]
    rows.append(run(console, "ours", "prefork", options.seed, 12, DEFAULT_LEASE, others=False))
    rows += [
        run(console, "stock", pool, options.seed, options.stock_kills, others=False)
        for pool in POOLS
    ]
    for cells in (HEAD, ("---",) * len(HEAD), *rows):
        console.print("| " + " | ".join(cells) + " |", soft_wrap=True)
    console.print(f"{time.monotonic() - begun:.0f} s in all")
    return 0 if is_as_promised(rows) else 1


def is_as_promised(rows: list[tuple[str, ...]]) -> bool:
    """Tell whether nothing went wrong here, and something did with the stock transport."""
    ours = [dict(zip(HEAD, cells, strict=True)) for cells in rows if cells[0] == "ours"]
    stock = [dict(zip(HEAD, cells, strict=True)) for cells in rows if cells[0] == "stock"]
    bad = ("lost", "effects twice", "not Complete")
    return all(cells[name] == "0" for cells in ours for name in bad) and any(
        cells["lost"] != "0" for cells in stock
    )


if __name__ == "__main__":
    sys.exit(main())
