"""Jobs that fail, each in another way."""

import os
import signal
import time
from pathlib import Path

from celery.exceptions import Reject

from tasks.celery import app
from tasks.job import Job


class Refused(Exception):
    """An error that will not pass."""


class NotYet(Exception):
    """An error that may pass."""


class CannotBePickled(Exception):
    """An error that no process can hand to another one as it is."""

    def __init__(self, number: int) -> None:
        super().__init__(f"number {number}")
        self.lock = open(os.devnull)  # noqa: PTH123, SIM115 (it is what cannot be pickled)


@app.task(name="failing.refuse", base=Job)
def refuse(order: int, **_: object) -> None:
    """Fail at once."""
    raise Refused(f"order {order} was refused")


@app.task(
    name="failing.not_yet",
    base=Job,
    autoretry_for=(NotYet,),
    max_retries=2,
    retry_backoff=0,
    default_retry_delay=0,
)
def not_yet() -> None:
    """Fail in each of three attempts."""
    raise NotYet("come back later")


@app.task(name="failing.until", base=Job, bind=True)
def until(self: Job, file: str) -> int:
    """Fail until the file is there; return the number of the attempt then."""
    if not Path(file).exists():
        raise Refused(f"{file} is missing")
    return int(self.request.retries or 0) + 1


@app.task(name="failing.refuse_when_told", base=Job)
def refuse_when_told(running: str, go_on: str) -> None:
    """Make one file, wait for the other, and fail."""
    Path(running).touch()
    while not Path(go_on).exists():
        time.sleep(0.02)
    raise Refused("told so")


@app.task(name="failing.reject", base=Job)
def reject() -> None:
    """Reject the message."""
    raise Reject("not for me", requeue=False)


@app.task(name="failing.run_too_long", base=Job, time_limit=1)
def run_too_long() -> None:
    """Run past the hard time limit."""
    time.sleep(60)


@app.task(name="failing.kill_process", base=Job)
def kill_process() -> None:
    """End the process that runs it."""
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="failing.kill_process_once", base=Job, reject_on_worker_lost=False)
def kill_process_once() -> None:
    """End the process that runs it, as a task that must not be delivered again."""
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="failing.acknowledged_early", base=Job, acks_late=False)
def acknowledged_early(order: int) -> None:
    """Fail after its message is gone."""
    raise Refused(f"order {order} was refused")


@app.task(name="failing.spoil", base=Job)
def spoil(items: list[int]) -> None:
    """Change the data that it was given, and fail."""
    items.clear()
    raise Refused("nothing left")


class NeverDoneWithIt(Job):
    """A job whose hook, once it has failed, runs until its process is killed."""

    abstract = True

    def on_give_up(self, error: BaseException) -> None:  # noqa: ARG002 (Job's)
        """Never return."""
        time.sleep(600)


@app.task(name="failing.hang_after_the_failure", base=NeverDoneWithIt)
def hang_after_the_failure(file: str) -> None:
    """Note the start, and fail; the message is not acknowledged then."""
    with Path(file).open("a") as starts:
        starts.write("start\n")
    raise Refused("no")


@app.task(name="failing.cannot_be_pickled", base=Job)
def cannot_be_pickled() -> None:
    """Fail with an error that cannot be handed on."""
    raise CannotBePickled(3)
