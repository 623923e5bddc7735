"""Jobs that are run twice: by a worker as it is, and by one that has to take Celery's way.

A worker that is started with `CELERYS_WAY` in its environment does not open the short way: somebody
in it listens to a signal of Celery's.
"""

import json
import logging
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from celery import Task, current_task, signals

from config import bound as log_fields
from tasks.celery import app
from tasks.errors import JobCancelled
from tasks.job import Job
from tests.support.plain_outcomes import ERRORS, ONCE, VALUES, MayPass, Refused

logger = logging.getLogger(__name__)

WAYS = "ways-of-"
"""How the keys begin that hold by which way each attempt of a job came to its body."""

SEEN = "seen-by-"
"""How the keys begin that hold what a body saw."""


def _listen(**_: object) -> None:
    """Do nothing."""


if "CELERYS_WAY" in os.environ:
    signals.task_prerun.connect(_listen)


def way_here() -> str:
    """Return by which way this body was reached: `short` or `celery`."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_filename.endswith("celery/app/trace.py"):
            return "celery"
        if frame.f_code.co_filename.endswith("tasks/fastpath/lane.py"):
            return "short"
    raise RuntimeError("it was not reached in a worker")


def note_way(task: "Task[..., Any]") -> int:
    """Write down by which way the body was reached; return how often it has been."""
    way = way_here()
    client: Any = task.backend.client  # type: ignore[attr-defined] # of our own backend
    return int(client.rpush(f"{WAYS}{task.request.id}", way))


def note_seen(task: "Task[..., Any]", seen: object) -> None:
    """Write down what a body saw."""
    client: Any = task.backend.client  # type: ignore[attr-defined] # of our own backend
    client.rpush(f"{SEEN}{task.request.id}", json.dumps(seen, sort_keys=True, default=repr))


@app.task(name="plain.give", base=Job, bind=True)
def give(self: Job, what: str) -> Any:  # noqa: ANN401 (that is the point)
    """Return one of the values."""
    note_way(self)
    return VALUES[what]()


@app.task(name="plain.see", base=Job, bind=True)
def see(self: Job, /, *args: object, **kwargs: object) -> str:
    """Write down what the body sees of its job."""
    note_way(self)
    note_seen(
        self,
        {
            "request": vars(self.request),
            "children": self.request.children,
            "current": [current_task.name, current_task.request.id],
            "args": args,
            "kwargs": kwargs,
            "data": self.data,
            "fields": [log_fields.bound(name) for name in ("job_id", "task", "request_id")],
            "limits": [vars(self.request).get(name) for name in ("time_limit", "soft_time_limit")],
            "options": self.request.as_execution_options(),
        },
    )
    logger.warning("it was seen")
    return "seen"


@app.task(name="plain.fail", base=Job, bind=True)
def fail(self: Job, how: str) -> None:
    """Raise one of the errors."""
    note_way(self)
    ERRORS[how]()


@app.task(name="plain.fail_once", base=Job, bind=True)
def fail_once(self: Job, how: str) -> str:
    """Raise one of those that have it delivered again, and return the next time."""
    if note_way(self) == 1:
        ONCE[how]()
    return "done"


@app.task(name="plain.raise_base", base=Job, bind=True)
def raise_base(self: Job, how: str) -> str:
    """Raise what is no exception, once."""
    if note_way(self) == 1:
        raise {"exit": SystemExit, "generator": GeneratorExit}[how](how)
    return "done"


@app.task(
    name="plain.pass_after",
    base=Job,
    bind=True,
    autoretry_for=(MayPass,),
    retry_backoff=0,
    default_retry_delay=0,
    max_retries=2,
)
def pass_after(self: Job, failures: int) -> int:
    """Meet a passing error some times, then return the number of the attempt."""
    note_way(self)
    logger.warning("attempt")
    if (self.request.retries or 0) < failures:
        raise MayPass(f"attempt {self.request.retries}")
    return int(self.request.retries or 0) + 1


@app.task(name="plain.ask_again", base=Job, bind=True, max_retries=1)
def ask_again(self: Job, times: int, with_error: bool) -> str:
    """Ask for another attempt some times."""
    note_way(self)
    if (self.request.retries or 0) < times:
        error = Refused("ask again") if with_error else None
        raise self.retry(countdown=0, exc=error, kwargs={"times": times, "with_error": with_error})
    return "done"


@app.task(name="plain.send_on", base=Job, bind=True)
def send_on(self: Job, then: str) -> str:
    """Send another job, and go on in one of several ways."""
    note_way(self)
    attempt = int(self.request.retries or 0)
    queue = (self.request.delivery_info or {})["routing_key"]
    child = see.apply_async((1,), queue=queue, task_id=f"{self.request.id}-child-{attempt}")
    if then == "fail":
        raise Refused("after it has sent a job")
    if then == "retry" and not attempt:
        raise self.retry(countdown=0)
    return str(child.id)


@app.task(name="plain.tell", base=Job, bind=True)
def tell(self: Job, then: str) -> str | None:
    """Publish data and progress, and log; then fail or return."""
    note_way(self)
    self.progress(1, 2, "half way")
    logger.warning("token=abc123 of ada@example.com")
    self.set_data({"rows": [7, "ü"]})
    if then == "fail":
        raise Refused("half way")
    return "a value" if then == "value" else None


@app.task(name="plain.spoil", base=Job, bind=True)
def spoil(self: Job, items: list[int], then: str) -> int:
    """Change what it was given; then fail, ask for another attempt, or return."""
    note_way(self)
    items.append(len(items))
    if then == "fail":
        raise Refused(f"{items}")
    if then == "retry" and not self.request.retries:
        raise self.retry(countdown=0)
    return len(items)


@app.task(name="plain.ignoring", base=Job, bind=True, ignore_result=True)
def ignoring(self: Job, fails: bool = False) -> str:
    """Return, or fail, with nobody who wants to know."""
    note_way(self)
    if fails:
        raise Refused("ignored")
    return "ignored"


@app.task(name="plain.untracked", base=Job, bind=True, track_started=False)
def untracked(self: Job, fails: bool = False) -> str:
    """Return, or fail, without having been seen as running."""
    note_way(self)
    if fails:
        raise Refused("untracked")
    return "untracked"


@app.task(name="plain.early", base=Job, bind=True, acks_late=False)
def early(self: Job) -> str:
    """Be acknowledged before it runs."""
    note_way(self)
    return "early"


class Hooked(Job):
    """A job whose hooks all log."""

    abstract = True

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:  # noqa: ANN401, ARG002 (Celery's)
        """Say so."""
        logger.warning("before_start")

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:  # noqa: ANN401, ARG002 (Celery's)
        """Say so."""
        logger.warning("on_success %r", retval)

    def after_return(self, status: str, *_: object) -> None:
        """Say so."""
        logger.warning("after_return %s", status)


class OnFailure(Job):
    """A job whose hooks for what goes wrong log. It is plain, as long as nothing does."""

    abstract = True

    def on_retry(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:  # noqa: ANN401, ARG002 (Celery's)
        """Say so."""
        logger.warning("on_retry %r %r %r", exc, args, kwargs)

    def on_give_up(self, error: BaseException) -> None:
        """Say so."""
        logger.warning("on_give_up %r, job %s", error, self.request.id)


@app.task(name="plain.hooked", base=Hooked, bind=True)
def hooked(self: Job, fails: bool) -> str:
    """Return or fail between hooks."""
    note_way(self)
    if fails:
        raise Refused("hooked")
    return "hooked"


@app.task(name="plain.give_up", base=OnFailure, bind=True, max_retries=1)
def give_up(self: Job, mark: str) -> None:
    """Ask for another attempt, and give up."""
    note_way(self)
    raise self.retry(countdown=0, exc=Refused(mark))


@app.task(name="plain.limited", base=Job, bind=True)
def limited(self: Job) -> str:
    """Be limited by whoever controls the worker."""
    note_way(self)
    return "limited"


@app.task(name="plain.hold", base=Job)
def hold(file: str) -> str:
    """Append the way to a file, and wait for another one."""
    with Path(file).open("a") as log:
        log.write(f"{way_here()}\n")
    while not Path(f"{file}.go").exists():
        time.sleep(0.02)
    return "held"


@app.task(name="plain.until_cancelled", base=Job, bind=True)
def until_cancelled(self: Job, then: str) -> str:
    """Report progress until it is cancelled, and then go on in one of several ways."""
    note_way(self)
    end = datetime.now(UTC) + timedelta(minutes=2)
    while datetime.now(UTC) < end:
        try:
            self.progress(0, 1)
        except JobCancelled:
            if then == "stop":
                raise
            break
        time.sleep(0.02)
    if then == "tell again":
        self.set_data("once more")
    if then == "fail later":
        try:
            self.set_data("once more")
        except JobCancelled:
            raise Refused("it was cancelled") from None
    return "went on"


@app.task(name="plain.add_to_chain", base=Job, bind=True)
def add_to_chain(self: Job, fails: bool) -> str:
    """Give itself callbacks and a chain while it runs, as Celery lets it."""
    note_way(self)
    queue = (self.request.delivery_info or {})["routing_key"]
    ids = [f"{self.request.id}-{what}" for what in ("callback", "next", "errback")]
    callback, follower, errback = (see.s().set(queue=queue, task_id=one) for one in ids)
    self.request.update(
        callbacks=[dict(callback)], chain=[dict(follower)], errbacks=[dict(errback)]
    )
    if fails:
        raise Refused("with an errback of its own")
    return "to be handed on"


@app.task(name="plain.ignore_later", base=Job, bind=True)
def ignore_later(self: Job) -> str:
    """Find out while it runs that nobody wants to know its result."""
    note_way(self)
    self.request.ignore_result = True
    return "nobody wants to know"


@app.task(name="plain.update_state", base=Job, bind=True)
def update_state(self: Job, fails: bool) -> str:
    """Store a state of its own, as Celery lets it."""
    note_way(self)
    self.update_state(state="HALF WAY", meta={"done": 1})
    note_seen(self, self.AsyncResult(self.job_id).info)
    if fails:
        raise Refused("half way")
    return "all the way"


@app.task(name="plain.replace", base=Job, bind=True)
def replace(self: Job) -> None:
    """Have another job take its place."""
    note_way(self)
    queue = (self.request.delivery_info or {})["routing_key"]
    if self.request.replaced_task_nesting < 1:
        raise self.replace(replace.s().set(queue=queue))


@app.task(name="plain.call_another", base=Job, bind=True)
def call_another(self: Job) -> list[object]:
    """Call other tasks in place, of which one fails; see whose job it is afterwards."""
    note_way(self)
    found: list[object] = [described(1)]
    try:
        described(0)
    except ZeroDivisionError:
        found.append("failed")
    found.append(described.apply((2,)).get(disable_sync_subtasks=False))
    return [*found, current_task.name, current_task.request.id == self.request.id]


@app.task(name="plain.described", base=Job, bind=True)
def described(self: Job, number: int) -> list[object]:
    """Tell how it is called."""
    return [1 / number, self.request.called_directly, self.request.is_eager, current_task.name]
