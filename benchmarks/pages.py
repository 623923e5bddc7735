"""How long Flower's extra pages take with very many jobs: a real server, a real Flower.

    python -m benchmarks.pages --pending 1000000 --failed 100000 --times 7

The jobs in the queue are made on the server itself, each with an id of its own; the failed ones are
stored as a worker stores them. While the pages are asked for, another client asks Flower's
`/healthcheck` all the time: the longest it had to wait tells whether its loop was ever blocked. The
run ends with an error if a page does not show what it is asked for.
"""

import argparse
import os
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sqlalchemy import create_engine

from tests.support.flower import Flower
from tests.support.valkey import Valkey

TASKS = ("reports.weekly", "orders.record_sale", "work.email_job", "work.data_miner_job")
QUEUES = ("high", "default", "low")
ERRORS = ("ErpUnavailable", "OrderRefused", "ValueError")
QUEUE = "low"


def main() -> int:
    """Fill a server, ask for the pages, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages")
    parser.add_argument("--pending", type=int, default=1_000_000)
    parser.add_argument("--failed", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=7, help="how often each page is asked for")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="expresslane-pages-") as name:
        directory = Path(name)
        with Valkey(directory) as server:
            os.environ["BROKER_URL"] = server.url
            with Progress(console=Console(stderr=True)) as progress:
                queue_many(server, arguments.pending, progress)
                fail_many(arguments.failed, progress)
                env = {"DATABASE_URL": database(directory)}
                with Flower(directory / "flower.log", server, env=env) as flower:
                    flower.wait_until_open()
                    wanted = pages(arguments.pending, arguments.failed)
                    longest = ask(flower, wanted, arguments.times, progress)
    Console().print(table(wanted))
    Console().print(f"the longest that Flower's /healthcheck took meanwhile: {longest:.0f} ms")
    return 0


def database(directory: Path) -> str:
    """Make the table of an outbox; return the database's address."""
    from tasks import outbox  # noqa: PLC0415 (it reads the broker's address)

    url = f"sqlite:///{directory / 'store.db'}"
    engine = create_engine(url)
    outbox.metadata.create_all(engine)
    engine.dispose()
    return url


def queue_many(server: Valkey, count: int, progress: Progress) -> None:
    """Put so many jobs into the queue."""
    from tasks.scheduler import schedule  # noqa: PLC0415 (it reads the broker's address)
    from tests.support.bulk import load  # noqa: PLC0415 (likewise)

    bar = progress.add_task("queueing", total=count)
    schedule(
        "reports.weekly",
        {"order": 4711, "email": "ada@example.com"},
        queue=QUEUE,
        job_id="first-of-all",
    )
    load(server.client, QUEUE, count - 1)
    progress.update(bar, completed=count)


def fail_many(count: int, progress: Progress) -> None:
    """Store so many failed jobs, of all tasks, queues and errors in turn."""
    from tests.support.failed import MANY, failure, keep  # noqa: PLC0415 (likewise)

    bar = progress.add_task("failing", total=count)
    for number in range(count):
        kind = (number % len(TASKS), number // 4 % len(QUEUES), number // 12 % len(ERRORS))
        keep(
            failure(
                TASKS[kind[0]],
                queue=QUEUES[kind[1]],
                error=ERRORS[kind[2]],
                data={"order": number},
            ),
            MANY,
        )
        progress.advance(bar)


@dataclass(frozen=True)
class Asked:
    """A page, and how long it took each time."""

    name: str
    path: str
    shows: str
    """A text that it must have."""
    milliseconds: list[float] = field(default_factory=list)


def pages(pending: int, failed: int) -> Sequence[Asked]:
    """Return the pages to ask for."""
    task, queue, error = TASKS[0], QUEUES[0], ERRORS[0]
    every, one = f"{failed:,} jobs have failed", sum(n % 4 == 0 for n in range(failed))
    both = f"/failed?task={task}&queue={queue}"
    return (
        Asked("Failed", "/failed", every),
        Asked("Failed, by task", f"/failed?task={task}", f"{one:,} jobs have failed"),
        Asked("Failed, by task and queue", both, "fit the filter"),
        Asked("Failed, by all four", f"{both}&error={error}&age=newer-1d", "fit the filter"),
        Asked("Failed, retry all of a task?", f"/failed/retry?task={task}", f"{one:,} failed jobs"),
        Asked("Pending, next first", f"/pending?queue={QUEUE}", f"{pending:,} jobs wait"),
        Asked("Pending, last first", f"/pending?queue={QUEUE}&end=last", f"{pending:,} jobs wait"),
        Asked("Delayed", "/pending/delayed", "No job waits for its time"),
        Asked("Queues", "/queues", f"{pending:,}"),
        Asked("Schedule", "/schedule", "Nothing is scheduled"),
        Asked("History, 14 days", "/history?last=14d", "No job has ended"),
        Asked("Quarantine", "/quarantine", "Nothing is in quarantine"),
        Asked("Outbox", "/outbox", "Every job of the outbox is finished"),
        Asked("Audit", "/audit", "Nobody has changed anything"),
        Asked("Job, next in its queue", "/job/first-of-all", "It waits"),
        Asked("Job, not at the ends", f"/job/bulk-{pending // 100_000:03d}0000001", "Unknown"),
        Asked("Metrics", "/metrics", "expresslane_queue_length"),
    )


def ask(flower: Flower, wanted: Sequence[Asked], times: int, progress: Progress) -> float:
    """Ask for each page so often, in turn; return the longest answer of `/healthcheck` (ms)."""
    bar = progress.add_task("asking", total=len(wanted) * times)
    stop, waits = threading.Event(), [0.0]

    def beside() -> None:
        with flower.visitor() as caller:
            while not stop.is_set():
                waits[0] = max(waits[0], timed(caller, "/healthcheck", "OK"))

    thread = threading.Thread(target=beside)
    thread.start()
    try:
        with flower.visitor() as caller:
            for _ in range(times):
                for page in wanted:
                    page.milliseconds.append(timed(caller, page.path, page.shows))
                    progress.advance(bar)
    finally:
        stop.set()
        thread.join()
    return waits[0]


def timed(caller: httpx.Client, path: str, shows: str) -> float:
    """Ask for a page; return how many milliseconds it took."""
    start = time.perf_counter()
    answer = caller.get(path)
    took = (time.perf_counter() - start) * 1_000
    if shows not in answer.text:
        raise SystemExit(f"{path}: {answer.status_code}, and does not show {shows!r}")
    return took


def table(asked: Sequence[Asked]) -> Table:
    """Return the times of the pages."""
    made = Table(title="milliseconds a page")
    for heading in ("page", "median", "longest"):
        made.add_column(heading, justify="left" if heading == "page" else "right")
    for page in asked:
        made.add_row(
            page.name,
            f"{statistics.median(page.milliseconds):.0f}",
            f"{max(page.milliseconds):.0f}",
        )
    return made


if __name__ == "__main__":
    raise SystemExit(main())
