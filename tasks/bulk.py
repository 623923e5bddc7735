"""Queue many jobs of one task: a hundred thousand rows of a table, one job each.

    from tasks.bulk import delay_many

    ids = delay_many(send_newsletter, ({"user_id": user.id} for user in users))

The data may be endless: they are taken as they are sent, some hundred at a time, and nothing is
kept. The ids are not kept either, but drawn from one secret number, and computed when they are
asked for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from secrets import token_bytes
from typing import Any

import redis
from celery import Task
from celery.local import maybe_evaluate
from kombu.exceptions import OperationalError

from tasks.broker.batch import Batch
from tasks.celery import app
from tasks.errors import BadJob, BulkStopped, Unreachable
from tasks.job_ids import JobIds, ids_between
from tasks.prepared import own_options
from tasks.putter import BadRow, Putter
from tasks.results import JSON
from tasks.unpublished import unreachable

MOST_AT_ONCE = 500
"""Jobs that are sent in one trip. More gain nothing, and hold up the server for longer."""

MOST_CHARACTERS = 1_000_000
"""Characters of messages after which a trip begins, however few they are."""

_FIRST_TAKEN = 20
_MOST_TAKEN = 250
"""Data that are taken together. More gain nothing, and they may be larger than those before."""

_MOST_CHARACTERS_TAKEN = 350_000
"""Of large data fewer are taken: with 1,000,000, what is written of them is no longer in the
processor's cache when it is put together, which takes 40 % more of its time."""


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
    many = _Many(secret, on_progress)
    try:
        with owner.batch() as batch:
            putter = Putter(owner, batch, name, options, parameters_of(task))
            try:
                for rows in many.taken_from(data, batch):
                    first = many.taken - len(rows)
                    putter.put(rows, ids_between(secret, first, many.taken))
            except BadRow as bad:
                many.taken = first + bad.number
                many.send(batch)
                many.finish(batch)
                text = f"{name}: number {many.taken} of the data: {bad.cause}"
                raise BadJob(text) from bad.cause
            except Exception:
                # What the data end with. What is under way is told of all the same.
                many.finish(batch)
                raise
            many.send(batch)
            many.finish(batch)
    except (redis.RedisError, OperationalError) as error:
        raise many.stopped(error) from error
    return JobIds(secret, range(many.queued))


class _Many:
    """How far it is: what was taken of the data, sent, and queued.

    One trip is under way at most. While the server works at it, the next one is put together.
    """

    def __init__(self, secret: bytes, on_progress: Callable[[JobIds], object]) -> None:
        self._secret = secret
        self._on_progress = on_progress
        self._has_failed = False
        self.taken = self.sent = self.queued = 0

    def taken_from(
        self, data: Iterable[Mapping[str, JSON]], batch: Batch
    ) -> Iterator[Sequence[Mapping[str, JSON]]]:
        """Yield the data, some at a time. What was put into the batch is sent once it is full."""
        iterator, room = iter(data), _FIRST_TAKEN
        while rows := list(islice(iterator, room)):
            self.taken += len(rows)
            before = batch.size
            yield rows
            average = max((batch.size - before) // len(rows), 1)
            if batch.count >= MOST_AT_ONCE or batch.size >= MOST_CHARACTERS:
                self.send(batch)
            # The next ones may be as large as these were.
            free = min(MOST_AT_ONCE - batch.count, (MOST_CHARACTERS - batch.size) // average)
            room = max(min(free, _MOST_TAKEN, _MOST_CHARACTERS_TAKEN // average), 1)

    def send(self, batch: Batch) -> None:
        """Send what is in the batch, once the answer to what was sent before is there."""
        self.finish(batch)
        self._has_failed = True
        batch.begin()
        self._has_failed = False
        self.sent = self.taken

    def finish(self, batch: Batch) -> None:
        """Wait for the answer to what was sent, if it is still to come."""
        if self.sent > self.queued and not self._has_failed:
            self._has_failed = True
            batch.finish()
            self._has_failed = False
            self.queued = self.sent
            self._on_progress(self._ids(0, self.queued))

    def stopped(self, error: Exception) -> BulkStopped:
        """Return the error that tells which jobs are queued."""
        cause = error if isinstance(error, Unreachable) else unreachable(error)
        end = self.queued
        if cause.may_be_queued:
            # It was either the answer that has not come, or the next ones could not be sent.
            end = self.sent if self.sent > self.queued else self.taken
        return BulkStopped(
            cause,
            self._ids(0, self.queued),
            self._ids(self.queued, end),
            self._ids(end, self.taken),
        )

    def _ids(self, first: int, end: int) -> JobIds:
        return JobIds(self._secret, range(first, end))


def parameters_of(task: Task[..., Any] | str) -> Callable[..., object] | None:
    """Return what raises TypeError for arguments that the body does not take, if that is known."""
    known: Any = task
    return known.__header__ if not isinstance(task, str) and known.typing else None
