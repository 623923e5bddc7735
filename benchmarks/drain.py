"""How fast workers drain a queue of no-op jobs: this project's transport against Celery's own.

    python -m benchmarks.drain --jobs 10000 --rounds 3

A part of `make bench`, printed and not written down. Both run the same job with the same settings,
late acknowledgement included, in an order that the seed draws, each time on a fresh Valkey. Each
job must have run exactly once, or the run ends with an error.
"""

import argparse
import sys

from rich.console import Console

from benchmarks import measures, sides
from benchmarks.bench import measure
from benchmarks.results import Report
from benchmarks.table import laid_out, rows


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drain")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    chosen = [one for one in measures.BENCH if one.key == "drain"]
    report = Report("drain", asked.seed, asked.rounds, asked.jobs)
    samples = measure(sides.OWN, chosen, report, Console(stderr=True))
    Console().print(laid_out(rows(samples, [side.name for side in sides.OWN])))
    Console().print(f"load average {report.facts['load average']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
