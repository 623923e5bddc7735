"""dramatiq: two processes of 8 threads (its defaults) for no-op jobs, of 50 for jobs that wait.

A larger prefetch is what its maintainer names for short messages; it acknowledges after the run.
It has nothing for many jobs at once.
"""

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.peers.protocol import RESULTS, URL, Peer, each, work

broker = RedisBroker(url=URL)
if RESULTS:
    broker.add_middleware(Results(backend=RedisBackend(url=URL), store_results=True))
dramatiq.set_broker(broker)


@dramatiq.actor(actor_name="bench_noop")
def job(number: int) -> int | None:
    """Do what every peer's job does. A result that nobody stores would be warned of."""
    done = work(number)
    return done if RESULTS else None


def _processes(threads: int) -> list[list[str]]:
    command = ["python", "-m", "dramatiq", "benchmarks.peers.dramatiq", "-p", "2"]
    return [["env", "dramatiq_queue_prefetch=100", *command, "-t", str(threads)]]


PEER = Peer(
    source="https://dramatiq.io/reference.html, https://github.com/Bogdanp/dramatiq/issues/183",
    packages=("dramatiq", "redis", "hiredis"),
    settings="results only where they are asked for",
    workers={"noop": _processes(8), "io": _processes(50)},
    publish=each(job.send),
)
