"""Everything that is fast or slow here, in one interleaved run: `make bench`, `make bench-peers`.

    python -m benchmarks.bench --rounds 3 --jobs 10000 --only drain --only latency
    python -m benchmarks.bench --peers

Beside Expresslane is Celery's own transport with the same settings, or, with `--peers`, every other
job system, each in an environment of its own below `.bench/` and at the best settings that its
documentation names; the results show them. In each round every measure is taken of every side once,
in an order that the seed draws, each time on a fresh Valkey. A ratio compares two sides in the same
round; its spread is the smallest and the largest of the rounds.

Every job writes its number down (tally.py). If one did not run, or ran twice, the run ends with an
error. The table, the chart and all samples go to `benchmarks/results/`. Ctrl-C ends the run with
the rounds that are whole.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import measures, sides
from benchmarks.measures import Measure, Sizes, Values
from benchmarks.results import RESULTS, Report, write
from benchmarks.sides import Side
from benchmarks.table import laid_out, rows
from benchmarks.turns import turns
from tests.support.programs import ROOT


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write the results down; return the exit code."""
    asked = _parser().parse_args(argv)
    chosen = [one for one in _measures(asked.peers) if not asked.only or one.key in asked.only]
    console = Console(stderr=True)
    ready = [side for side in _sides(asked) if _is_ready(side, console)]
    report = Report("bench-peers" if asked.peers else "bench", asked.seed, asked.rounds, asked.jobs)
    samples = measure(ready, chosen, report, console)
    found = rows(samples, [side.name for side in ready])
    Console().print(laid_out(found))
    for file in write(report, ready, chosen, samples, found, asked.into):
        console.print(f"written: {file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}")
    return 0


def measure(
    ready: Sequence[Side], chosen: Sequence[Measure], report: Report, console: Console
) -> dict[tuple[Measure, str], list[Values]]:
    """Take every measure of every side in each round, with a display of how far it is."""
    pairs = [(one, side) for one in chosen for side in ready]
    # In the order of the measures, whatever the turns will be.
    samples: dict[tuple[Measure, str], list[Values]] = {(one, side.name): [] for one, side in pairs}
    try:
        for (one, side), seed in turns(pairs, report, console, _name):
            samples[one, side.name].append(one.of(side, Sizes(report.jobs), seed))
    except KeyboardInterrupt:
        whole = min(len(rounds) for rounds in samples.values())
        if not whole:
            raise
        report.rounds = whole
        console.print(f"stopped: {whole} whole rounds count")
    return {key: rounds[: report.rounds] for key, rounds in samples.items()}


def _name(pair: tuple[Measure, Side]) -> str:
    measure, side = pair
    return f"{measure.title}: {side.name}"


def _measures(peers: bool) -> Sequence[Measure]:
    return measures.PEERS if peers else measures.BENCH


def _sides(asked: argparse.Namespace) -> Sequence[Side]:
    every = sides.PEERS if asked.peers else sides.OWN
    return [side for side in every if not asked.side or side.module in (*asked.side, "expresslane")]


def _is_ready(side: Side, console: Console) -> bool:
    with console.status(f"making what {side.name} needs"):
        reason = side.prepare()
        if reason is None:
            return bool(side.described)  # and so that it answers is known before anything else
    console.print(f"{side.name} is left out: {reason}")
    return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench")
    parser.add_argument("--peers", action="store_true", help="beside other job systems")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--jobs", type=int, default=10_000, help="of a drain; others follow from it"
    )
    parser.add_argument("--seed", type=int, default=1)
    keys = sorted({measure.key for measure in (*measures.BENCH, *measures.PEERS)})
    parser.add_argument("--only", choices=keys, action="append", help="may be given several times")
    names = [side.module for side in (*sides.PEERS[1:], sides.STOCK)]
    parser.add_argument("--side", choices=names, action="append", help="beside Expresslane")
    parser.add_argument("--into", type=Path, default=RESULTS, help="directory of the results")
    return parser


if __name__ == "__main__":
    sys.exit(main())
