"""Command lines of Celery's workers: the same for its own transport and for this project's."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.peers.protocol import Commands

QUIET = ("-l", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat")
"""Less talk between workers; nothing that is promised hangs on it."""


def celery_workers(
    module: str,
    program: str = "benchmarks.peers.launch",
    *,
    prefetch: int = 4,
    threads: int = 50,
    prefetch_io: int = 1,
) -> Mapping[str, Commands]:
    """Return the command lines for the app of this module.

    For no-op jobs two workers without a pool, which is the fastest; the other pools beside it. For
    jobs that wait, two workers of many threads.

    Args:
        module: where the app is.
        program: what starts them, a module.
        prefetch: the prefetch multiplier for no-op jobs.
        threads: of each worker for jobs that wait.
        prefetch_io: the prefetch multiplier of those.

    The defaults are what Celery itself was fastest with.

    """

    def worker(name: str, pool: str, concurrency: int, multiplier: int = prefetch) -> list[str]:
        return [
            # This project's logging goes by the variable, and Celery's by its option.
            *("env", "LOG_LEVEL=WARNING", "python", "-m", program, "-A", module),
            *("worker", "-Q", "default"),
            *("--pool", pool, "--concurrency", str(concurrency), "-n", f"{name}@%h"),
            *("--prefetch-multiplier", str(multiplier), *QUIET),
        ]

    def two(pool: str, concurrency: int, multiplier: int = prefetch) -> list[list[str]]:
        return [worker(f"w{number}", pool, concurrency, multiplier) for number in range(2)]

    return {
        "noop": two("solo", 1),
        "solo": two("solo", 1),
        "prefork": [worker("w", "prefork", 2)],
        "threads": two("threads", 10),
        "io": two("threads", threads, prefetch_io),
    }


def batched(
    app: Any,  # noqa: ANN401 (the stubs know no batch())
    send: Callable[[int, Any], object],
) -> Callable[[Sequence[int]], None]:
    """Return what queues many jobs through `Producer.batch()`, new in kombu 5.7.

    Args:
        app: Celery's.
        send: queues the job of a number with a producer.

    """

    def publish_many(numbers: Sequence[int]) -> None:
        with app.producer_pool.acquire(block=True) as producer, producer.batch():
            for number in numbers:
                send(number, producer)

    return publish_many
