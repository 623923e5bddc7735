"""A real worker process, as a user starts it."""

from collections.abc import Mapping
from pathlib import Path

from tests.support.programs import Program


def start_worker(
    log: Path,
    *,
    broker_url: str,
    queues: str = "default",
    pool: str = "prefork",
    concurrency: int = 2,
    multiplier: int = 1,
    jobs: str = "tests.support.jobs",
    env: Mapping[str, str] | None = None,
) -> Program:
    """Start a worker, the tests' own jobs loaded; wait until it is ready.

    It is `python -m tasks worker`, which starts sooner than `celery -A tasks worker`; that one is
    what the fault harnesses and the documents start.
    """
    program = Program.python(
        *("tasks", "worker", "-Q", queues, "-I", jobs),
        *("--pool", pool, "--concurrency", str(concurrency), "-n", f"{log.stem}-{pool}@%h"),
        *("--prefetch-multiplier", str(multiplier)),
        log=log,
        env={"BROKER_URL": broker_url, **(env or {})},
    )
    return program.wait_until_printed(" ready.")
