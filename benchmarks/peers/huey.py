"""huey: two consumers of one thread for no-op jobs, of 50 for jobs that wait.

`RedisHuey` pops with BRPOP (`blocking`, its default). The consumer's guide says which kind of
worker is for what; it has nothing for many jobs at once, and knows no acknowledgement.
"""

from huey import RedisHuey

from benchmarks.peers.protocol import RESULTS, URL, Peer, each, work

huey = RedisHuey("bench", url=URL, results=RESULTS)


@huey.task()
def job(number: int) -> int:
    """Do what every peer's job does."""
    return work(number)


def _two(kind: str, workers: int) -> list[list[str]]:
    consumer = ["python", "-m", "huey.bin.huey_consumer", "benchmarks.peers.huey.huey"]
    return [[*consumer, "-k", kind, "-w", str(workers), "-n", "-q"]] * 2


PEER = Peer(
    source="https://huey.readthedocs.io/en/latest/consumer.html",
    packages=("huey", "redis", "hiredis"),
    settings="blocking pop, no periodic tasks (-n), quiet (-q), results=False unless asked for",
    workers={"noop": _two("thread", 1), "io": _two("thread", 50)},
    publish=each(job),
)
