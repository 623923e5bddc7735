"""Queue many jobs of one task: a hundred thousand rows of a table, one job each.

    from tasks.bulk import delay_many

    ids = delay_many(send_newsletter, ({"user_id": user.id} for user in users))

The data may be endless: they are taken as they are sent, some hundred at a time, and nothing is
kept. The ids are not kept either, but drawn from one secret number, and computed when they are
asked for.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from secrets import token_bytes
from typing import Any

import redis
from celery import Task
from celery.local import maybe_evaluate
from kombu.exceptions import EncodeError, OperationalError

from tasks.app import App
from tasks.broker.batch import Batch
from tasks.celery import app
from tasks.errors import BadJob, BulkStopped, Unreachable
from tasks.job_ids import JobIds, ids_of
from tasks.prepared import own_options
from tasks.putter import Putter
from tasks.results import JSON
from tasks.unpublished import unreachable

MOST_AT_ONCE = 500
"""Jobs that are sent in one trip. More gain nothing, and hold up the server for longer."""

MOST_CHARACTERS = 1_000_000
"""Characters of messages after which a trip begins, however few they are."""


def delay_many(
    task: Task[..., Any] | str,
    data: Iterable[Mapping[str, JSON]],
    *,
    on_progress: Callable[[JobIds], object] = lambda _: None,
    **options: Any,
) -> JobIds:
    """Queue one job of the task for each of the data, and return their ids.

    As with `delay`, each is marked as Waiting in the step that queues it, or before.

    Args:
        task: the task, or its name.
        data: the keyword arguments of each job.
        on_progress: called after each trip with the ids of all jobs that are queued by then; their
            `len` is their number.
        **options: as in `apply_async`: queue, priority, countdown, ...

    Raises:
        BulkStopped: when the broker or the result backend did not answer in time.
        BadJob: when some of the data cannot make a job; it tells which. The jobs before it are
            queued, those after it are not.

    """
    secret = token_bytes(16)
    # A task may be a proxy of itself, which takes its time at each look.
    task = maybe_evaluate(task)
    own = {} if isinstance(task, str) else own_options(task)
    options = {**own, **options}
    name = task if isinstance(task, str) else task.name
    owner: Any = app if isinstance(task, str) else task.app
    check = checker_of(task)
    many = _Many(owner, secret, on_progress)
    try:
        with owner.batch() as batch:
            putter = Putter(owner, batch, name, options)
            for values, job_id in zip(data, ids_of(secret, count()), strict=False):
                try:
                    check(values)
                    putter.put(values, job_id)
                except (TypeError, ValueError, EncodeError) as error:
                    many.flush(batch)
                    raise BadJob(f"{name}: number {many.taken} of the data: {error}") from error
                many.taken += 1
                if batch.count >= MOST_AT_ONCE or batch.size >= MOST_CHARACTERS:
                    many.flush(batch)
            many.flush(batch)
    except (redis.RedisError, OperationalError) as error:
        raise many.stopped(error) from error
    return JobIds(secret, range(many.queued))


class _Many:
    """How far it is."""

    def __init__(self, owner: App, secret: bytes, on_progress: Callable[[JobIds], object]) -> None:
        self.owner = owner
        self.secret = secret
        self.on_progress = on_progress
        self.taken = self.queued = 0

    def flush(self, batch: Batch) -> None:
        batch.flush()
        self.queued = self.taken
        self.on_progress(JobIds(self.secret, range(self.queued)))

    def stopped(self, error: Exception) -> BulkStopped:
        cause = error if isinstance(error, Unreachable) else unreachable(error)
        left = JobIds(self.secret, range(self.queued, self.taken))
        unknown, not_queued = (left, left[:0]) if cause.may_be_queued else (left[:0], left)
        return BulkStopped(cause, JobIds(self.secret, range(self.queued)), unknown, not_queued)


def checker_of(task: Task[..., Any] | str) -> Callable[[Mapping[str, JSON]], None]:
    """Return what checks data against the parameters of the body, where its code is here.

    It raises TypeError when they are not those that it takes.
    """
    known: Any = task
    parameters = known.__header__ if not isinstance(task, str) and known.typing else None

    def check(values: Mapping[str, JSON]) -> None:
        if not isinstance(values, Mapping):
            raise TypeError(f"a job's data are named values, not {values!r:.100}")
        if parameters is not None:
            parameters(**values)

    return check
