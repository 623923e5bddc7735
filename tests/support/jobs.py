"""Jobs that show each thing that can happen to a job, one at a time."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kombu.exceptions import OperationalError

from tasks.celery import app
from tasks.job import Job

logger = logging.getLogger(__name__)


class MayPass(Exception):
    """An error that the jobs below name as passing."""


class WillNotPass(Exception):
    """An error that they do not name."""


@app.task(name="tests.add", base=Job)
def add(first: int, second: int) -> int:
    """Return the sum."""
    return first + second


@app.task(name="tests.grow", base=Job)
def grow(megabytes: int) -> int:
    """Take so much memory for a moment; return the id of the process."""
    assert len(b"x" * (megabytes << 20))
    return os.getpid()


@app.task(name="tests.describe", base=Job, bind=True)
def describe(self: Job, word: str) -> dict[str, object]:
    """Return what the body knows of its job."""
    return {"job_id": self.job_id, "data": self.data, "word": word}


@app.task(name="tests.publish_and_return_nothing", base=Job, bind=True)
def publish_and_return_nothing(self: Job) -> None:
    """Publish data and progress on the way, and return None."""
    self.progress(1, 2, "half way")
    self.set_data({"rows": 7})


@app.task(name="tests.pass_after", base=Job, bind=True, autoretry_for=(MayPass,))
def pass_after(self: Job, failures: int) -> int:
    """Meet a passing error some times, then return the number of attempts."""
    attempt = int(self.request.retries or 0) + 1
    if attempt <= failures:
        raise MayPass(f"attempt {attempt}")
    return attempt


@app.task(name="tests.never_pass", base=Job, autoretry_for=(MayPass,), max_retries=1)
def never_pass() -> None:
    """Meet a passing error in every attempt."""
    raise MayPass("still there")


class TellsWhenItGivesUp(Job):
    """A job that writes down that it gave up."""

    abstract = True

    def on_give_up(self, error: BaseException) -> None:
        """Append the error to the file that the job was given."""
        with Path(str(self.data["file"])).open("a") as file:
            file.write(f"{self.job_id} {type(error).__name__}\n")


@app.task(
    name="tests.give_up",
    base=TellsWhenItGivesUp,
    autoretry_for=(MayPass,),
    max_retries=2,
    bind=True,
)
def give_up(self: Job, file: str, passing: bool) -> None:  # noqa: ARG001 (the hook reads it)
    """Publish data, then fail with a passing error or with one that is not."""
    self.set_data({"kept": True})
    raise MayPass("no") if passing else WillNotPass("no")


@app.task(name="tests.run_until_cancelled", base=Job, bind=True)
def run_until_cancelled(self: Job) -> str:
    """Report progress for a minute at most."""
    for step in range(3_000):
        self.progress(step, 3_000)
        time.sleep(0.02)
    return "was never cancelled"


@app.task(name="tests.wait_for_file", base=Job)
def wait_for_file(file: str) -> str:
    """Append a line to `file`, and return when there is a file `<file>.go`."""
    with Path(file).open("a") as log:
        log.write("ran\n")
    while not Path(f"{file}.go").exists():
        time.sleep(0.02)
    return "done"


@app.task(name="tests.run_past_soft_limit", base=Job, soft_time_limit=1, time_limit=60)
def run_past_soft_limit() -> None:
    """Run longer than the soft limit allows."""
    time.sleep(30)


@app.task(name="tests.run_past_hard_limit", base=Job, time_limit=1)
def run_past_hard_limit() -> None:
    """Run longer than the hard limit allows."""
    time.sleep(30)


@app.task(name="tests.log_and_start_another", base=Job, bind=True, autoretry_for=(MayPass,))
def log_and_start_another(self: Job, mark: str) -> str:
    """Log a line in each of two attempts, then start another job; return its id."""
    logger.info("parent %s", mark)
    if not self.request.retries:
        raise MayPass("once")
    return str(log_only.delay(mark=mark).id)


@app.task(name="tests.log_only", base=Job)
def log_only(mark: str) -> None:
    """Log a line."""
    logger.info("child %s", mark)


class Hooked(Job):
    """A job that notes its hooks in its data."""

    abstract = True

    def before_start(
        self, task_id: str, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> None:
        """Note the start, where the body finds it."""
        self.set_data(
            {"before_start": task_id, "args": list(map(str, args)), "kwargs": str(kwargs)}
        )

    def after_return(self, *ended: object) -> None:
        """Note the end."""
        logger.info("after_return of %s: %s", self.job_id, ended[0])


@app.task(name="tests.hooked", base=Hooked)
def hooked() -> None:
    """Do nothing between two hooks."""


@app.task(name="tests.pass_after_refusal", base=Job, bind=True, autoretry_for=(MayPass,))
def pass_after_refusal(self: Job, key: str) -> str:
    """Fail once with a passing error while nothing can be published, then be retried as usual."""
    tries = int(self.backend.client.incr(key))  # type: ignore[attr-defined] # of our own backend
    if tries == 1:
        with _nothing_can_be_published():
            return str(self.retry(exc=MayPass("once"), countdown=0))
    return "sent in the end"


@contextmanager
def _nothing_can_be_published() -> Iterator[None]:
    def refuse(*_: object, **__: object) -> None:
        raise OperationalError("the broker is away")

    original, app.send_task = app.send_task, refuse  # type: ignore[assignment,method-assign] # a broken broker
    try:
        yield
    finally:
        app.send_task = original  # type: ignore[method-assign] # mended again


@app.task(name="tests.note_and_fail", base=Job, bind=True)
def note_and_fail(self: Job, key: str) -> None:
    """Append to a list on the server which job this is, and fail for good."""
    self.backend.client.rpush(key, self.job_id)  # type: ignore[attr-defined] # of our own backend
    raise WillNotPass("as ever")


@app.task(name="tests.note", base=Job, bind=True)
def note(self: Job, key: str, word: str) -> None:
    """Append to a list on the server which job this is, its word, and the queue it came from."""
    queue = (self.request.delivery_info or {})["routing_key"]
    self.backend.client.rpush(key, f"{self.job_id} {word} {queue}")  # type: ignore[attr-defined] # of our own backend
