"""The store under a burst: ten times the buyers that it can serve if each waits for ERP and mail.

    python -m benchmarks.burst --seconds 20 --database sqlite --database postgresql

First the rate is measured that the store reaches with `CHECKOUT_MODE=inline`, where mail and ERP
are called in the request. Then buyers come at ten times that rate, at moments that the seed draws
and whatever becomes of the others (an open loop): once with `inline`, once with `deferred`. The ERP
takes 500 ms a call and the mail server 300 ms. The web server is the same in both modes. A buyer
who has no answer after 10 seconds leaves, and counts as refused, as every answer but 201 does.

The time to drain is that from the last buyer's coming until every order has its three effects.
Then they are counted: each order in the database has exactly one sale and one mail, and the ERP's
stock fell by what was sold, or the run ends with an error.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from benchmarks.chart import Panel, Series, lines
from benchmarks.customers import Bought, closed_loop, open_loop, schedule
from benchmarks.results import RESULTS, Report, write_page
from benchmarks.shop import ERP_MS, MAIL_MS, Shop
from benchmarks.table import markdown
from checkout_demo.models import OrderEffect
from tests.storefaults.audit import Figures, count
from tests.storefaults.world import KINDS, Kind
from tests.support.waiting import wait_for

THREADS = 2 * len(os.sched_getaffinity(0)) + 1
"""Requests that the web server handles at a time, in both modes. The rule is gunicorn's:
https://docs.gunicorn.org/en/stable/design.html#how-many-workers"""

WARM_UP = 3.0
"""Seconds before they are counted: the first answers need new connections, and come together."""

LONGEST = 900.0
"""Seconds that all may take: a burst that has not drained by then is called a failure."""


@dataclass(frozen=True)
class Burst:
    """What came of one burst."""

    database: Kind
    mode: str
    rate: float
    """Buyers a second."""
    bought: Sequence[Bought]
    drained: float
    """Seconds from the last buyer's coming until all effects were done."""
    orders: int

    @property
    def served(self) -> list[float]:
        """Seconds that those waited who were told that their order is placed."""
        return sorted(one.took for one in self.bought if one.is_served)

    @property
    def refused(self) -> int:
        """Buyers who left without an order number."""
        return sum(not one.is_served for one in self.bought)

    @property
    def cells(self) -> tuple[str, ...]:
        """Its row in the table."""
        cuts = statistics.quantiles(self.served, n=100)
        return (
            *(self.database, self.mode, f"{self.rate:.0f}", f"{len(self.bought):,}"),
            *(f"{cuts[49]:.3f}", f"{cuts[98]:.3f}", f"{self.refused:,}"),
            *(f"{self.orders:,}", f"{self.drained:.0f}"),
        )


HEADINGS = (
    *("database", "checkout", "buyers a second", "buyers", "median, s", "99th percentile, s"),
    *("refused", "orders", "all effects done after, s"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write the results down; return the exit code."""
    asked = _parser().parse_args(argv)
    console = Console(stderr=True)
    report = Report("burst", asked.seed, 1, 0)
    bursts: list[Burst] = []
    table = Table(*HEADINGS)
    with console.status("") as status:
        for kind in asked.database or KINDS:
            status.update(f"{kind}: what the store can serve inline")
            rate = asked.times * capacity(kind, asked)
            for mode in ("inline", "deferred"):
                status.update(f"{kind}: {rate:.0f} buyers a second, {mode}")
                with opened(kind, mode, asked) as shop:
                    bursts.append(burst(shop, mode, rate, asked))
                report.note_load()
                table.add_row(*bursts[-1].cells)
    Console().print(table)
    page = markdown(HEADINGS, (one.cells for one in bursts))
    for file in write_page(report, page, {"burst": picture(bursts, asked.seconds)}, asked.into):
        console.print(f"written: {file}")
    return 0


@contextmanager
def opened(kind: Kind, mode: str, asked: argparse.Namespace) -> Iterator[Shop]:
    """Open a store in a directory of its own."""
    times = {"threads": asked.threads, "erp_ms": asked.erp_ms, "mail_ms": asked.mail_ms}
    with (
        tempfile.TemporaryDirectory(prefix="burst-") as name,
        Shop(Path(name), kind, mode, **times) as shop,
    ):
        yield shop


def capacity(kind: Kind, asked: argparse.Namespace) -> float:
    """Return how many orders a second the store serves inline, when there are always buyers."""
    with opened(kind, "inline", asked) as shop:
        measured: float = asked.measure
        seconds = WARM_UP + measured
        bought = asyncio.run(closed_loop(shop.port, 2 * asked.threads, seconds, asked.seed))
        finish(shop)
    ends = [one.at + one.took for one in bought if one.is_served]
    return sum(WARM_UP <= end < seconds for end in ends) / measured


def burst(shop: Shop, mode: str, rate: float, asked: argparse.Namespace) -> Burst:
    """Have the buyers come, wait until all is done, and count."""
    moments = schedule(rate, asked.seconds, asked.seed)
    began = perf_counter()
    bought = asyncio.run(open_loop(shop.port, moments, asked.seed))
    finish(shop)
    drained = perf_counter() - began - moments[-1]
    answered = {str(number): one.order_id for number, one in enumerate(bought) if one.order_id}
    figures = Figures()
    count(shop, figures, answered)
    if wrong := figures.wrong() or figures.mailed_twice:
        raise SystemExit(f"{shop.kind}, {mode}: {wrong!r} is wrong after the burst")
    return Burst(shop.kind, mode, rate, bought, drained, figures.orders)


def finish(shop: Shop) -> None:
    """Wait until every order has its effects.

    One more buyer comes, who waits however long. Threads of the web server take requests in the
    order in which they came, so this one's answer means that none is left of those before.
    """
    (last,) = asyncio.run(open_loop(shop.port, [0.0], seed=-1, patience=LONGEST))
    if not last.is_served:
        raise SystemExit(f"the last buyer was answered {last.status}")
    wait_for(lambda: not undone(shop), "all effects of all orders", patience=LONGEST, every=0.1)


def picture(bursts: Sequence[Burst], seconds: float) -> str:
    """Draw what each buyer waited, by the moment of coming."""
    panels = []
    for kind in dict.fromkeys(one.database for one in bursts):
        series = [
            Series(mode, [(b.at, max(b.took, 0.002)) for b in one.bought], colour, dots=True)
            for one in bursts
            if one.database == kind
            for colour, mode in enumerate(("deferred", "inline"))
            if mode == one.mode
        ]
        rate = next(one.rate for one in bursts if one.database == kind)
        title = (
            f"{kind}: seconds that each of {rate:.0f} buyers a second waited, 10 = left unserved"
        )
        panels.append(Panel(title, series, 0.002, 10, logarithmic=True))
    title = "Checkout under ten times the load that inline can serve"
    return lines(title, panels, across="seconds since the burst began", least=0, most=seconds)


def undone(shop: Shop) -> int:
    """Return how many effects of orders are not done yet."""
    where = OrderEffect.done_at.is_(None)
    with shop.database.reading() as session:
        return session.scalar(select(func.count()).select_from(OrderEffect).where(where)) or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.burst")
    parser.add_argument("--seconds", type=float, default=20, help="that buyers come")
    parser.add_argument("--measure", type=float, default=10, help="seconds, for that rate")
    parser.add_argument("--times", type=float, default=10, help="the rate that inline serves")
    parser.add_argument("--threads", type=int, default=THREADS, help="of the web server")
    parser.add_argument("--database", choices=KINDS, action="append", help="both by default")
    parser.add_argument("--erp-ms", type=int, default=ERP_MS, help="latency of an ERP call")
    parser.add_argument("--mail-ms", type=int, default=MAIL_MS, help="latency of a mail")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--into", type=Path, default=RESULTS, help="directory of the results")
    return parser


if __name__ == "__main__":
    sys.exit(main())
