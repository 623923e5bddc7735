"""What each side of the comparison speaks: one line of JSON in, one line out, until the input ends.

    python -m benchmarks.peers huey

{"do": "describe"}                                 versions, source and the workers' command lines
{"do": "one", "first": 0, "count": 1000}           publish one job after the other
{"do": "bulk", "first": 0, "count": 100000}        the same, with whatever is there for many
{"do": "paced", "first": 0, "count": 300, "seed": 1}   one, once the last one has begun

The first two answer `{"seconds", "cpu"}`, the last one `{"sent"}`: the moment before each call, in
nanoseconds of the monotonic clock. The environment says where (BENCH_URL), what is written down in
(BENCH_TALLY), whether results are stored (BENCH_RESULTS) and whether jobs wait (BENCH_WAITS).

Only the standard library: this module is loaded by every peer in an environment of its own.
"""

import asyncio
import json
import os
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import monotonic, monotonic_ns, perf_counter, process_time, sleep
from typing import Any

from benchmarks.tally import FILE_VARIABLE, RECORD, note

URL = os.environ.get("BENCH_URL", "redis://127.0.0.1:6379/0")
RESULTS = os.environ.get("BENCH_RESULTS") == "1"

WAIT_SECONDS = 0.02 if os.environ.get("BENCH_WAITS") == "1" else 0.0
"""How long a job waits, which then stands for one of mail or HTTP."""

Commands = Sequence[Sequence[str]]


def work(number: int) -> int:
    """Be the body of a job: wait, if it is one that waits, and write down that it ran."""
    if WAIT_SECONDS:
        sleep(WAIT_SECONDS)
    note(number)
    return number


async def work_async(number: int) -> int:
    """Be the same for those whose jobs are coroutines."""
    if WAIT_SECONDS:
        await asyncio.sleep(WAIT_SECONDS)
    note(number)
    return number


def each(send: Callable[[int], object]) -> Callable[[Iterable[int]], None]:
    """Return what calls `send` with one number after the other."""

    def publish(numbers: Iterable[int]) -> None:
        for number in numbers:
            send(number)

    return publish


@dataclass(frozen=True)
class Peer:
    """A job system, and how it is used here."""

    source: str
    """Where its documentation tells of these settings."""
    packages: Sequence[str]
    """What it is made of, beside the server."""
    settings: str
    """What was chosen, beside the command lines."""
    workers: Mapping[str, Commands]
    """Command lines by kind of work: `noop` and `io`. Two processes run jobs, unless said."""
    publish: Callable[[Iterable[int]], object]
    """Queues one job for each number, one after the other."""
    publish_many: Callable[[Sequence[int]], object] | None = None
    """The same in as few steps as it has; None if there is nothing for it."""


def serve(peer: Peer) -> None:
    """Do what the lines of the input ask for."""
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(_ACTS[asked.pop("do")](peer, **asked)), flush=True)  # noqa: T201 (the answer)


def _describe(peer: Peer) -> dict[str, Any]:
    return {
        "source": peer.source,
        "settings": peer.settings,
        "versions": {name: version(name) for name in peer.packages},
        "workers": peer.workers,
        "has_bulk": peer.publish_many is not None,
    }


def _one(peer: Peer, first: int, count: int) -> dict[str, float]:
    return _timed(lambda: peer.publish(range(first, first + count)))


def _bulk(peer: Peer, first: int, count: int) -> dict[str, float]:
    many = peer.publish_many or peer.publish
    return _timed(lambda: many(range(first, first + count)))


def _timed(act: Callable[[], object]) -> dict[str, float]:
    began, cpu = perf_counter(), process_time()
    act()
    return {"seconds": perf_counter() - began, "cpu": process_time() - cpu}


def _paced(peer: Peer, first: int, count: int, seed: int) -> dict[str, list[int]]:
    sent: list[int] = []
    peer.publish(_when_idle(range(first, first + count), sent, random.Random(seed)))  # noqa: S311 (no secret)
    return {"sent": sent}


def _when_idle(numbers: Iterable[int], sent: list[int], chance: random.Random) -> Iterator[int]:
    """Give a number, wait until its job has begun and the worker is idle again, give the next."""
    tally = Path(os.environ[FILE_VARIABLE])
    for number in numbers:
        size = tally.stat().st_size
        sleep(chance.uniform(0.005, 0.015))  # the worker goes back to its queue
        sent.append(monotonic_ns())
        yield number
        end = monotonic() + 60
        while tally.stat().st_size < size + RECORD.size:
            if monotonic() > end:
                raise TimeoutError(f"job {number} has not begun within a minute")
            sleep(0.0005)


_ACTS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "describe": _describe,
    "one": _one,
    "bulk": _bulk,
    "paced": _paced,
}
