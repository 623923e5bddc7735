"""Queue many jobs of one task: a hundred thousand rows of a table, one job each.

    from tasks.bulk import delay_many

    ids = delay_many(send_newsletter, ({"user_id": user.id} for user in users))

The data may be endless: they are taken as they are sent, some hundred at a time, and nothing is
kept. The ids are not kept either, but drawn from one secret number, and computed when they are
asked for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import count
from secrets import token_bytes
from typing import Any, overload

import redis
from celery import Task
from kombu.exceptions import EncodeError, OperationalError

from tasks.app import App, unreachable
from tasks.broker.sender import Batch
from tasks.celery import app
from tasks.errors import BadJob, BulkStopped, Unreachable
from tasks.results import JSON

MOST_AT_ONCE = 500
"""Jobs that are sent in one trip. More gain nothing, and hold up the server for longer."""

MOST_CHARACTERS = 1_000_000
"""Characters of messages after which a trip begins, however few they are."""


class JobIds(Sequence[str]):
    """The ids of many jobs, in the order of their data. Takes the same memory for any number."""

    def __init__(self, secret: bytes, numbers: range) -> None:
        self._secret = secret
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "JobIds": ...
    def __getitem__(self, index: int | slice) -> "str | JobIds":
        if isinstance(index, slice):
            return JobIds(self._secret, self._numbers[index])
        return job_id(self._secret, self._numbers[index])

    def __iter__(self) -> Iterator[str]:
        return (job_id(self._secret, number) for number in self._numbers)


def job_id(secret: bytes, number: int) -> str:
    """Return the id of one job: a UUID that looks like any random one (version 4)."""
    text = blake2b(number.to_bytes(8, "big"), key=secret, digest_size=16).hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


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
    options |= {**_own_options(task), **options}
    name = task if isinstance(task, str) else task.name
    owner: Any = app if isinstance(task, str) else task.app
    many = _Many(owner, secret, on_progress)
    try:
        with owner.batch() as batch:
            put = owner.putter(batch, name, options)
            for number, values in zip(count(), data, strict=False):
                try:
                    check_call(task, values)
                    put(dict(values), job_id(secret, number))
                except (TypeError, ValueError, EncodeError) as error:
                    many.flush(batch)
                    raise BadJob(f"{name}: number {number} of the data: {error}") from error
                many.taken = number + 1
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


def _own_options(task: Task[..., Any] | str) -> dict[str, Any]:
    """Return the options that Celery adds to a call of the task itself."""
    if isinstance(task, str):
        return {}
    known: Any = task
    own = {name: value for name, value in known._get_exec_options().items() if value is not None}  # noqa: SLF001 (as apply_async does)
    return {**own, "ignore_result": task.ignore_result, "task_type": task}


def check_call(task: Task[..., Any] | str, values: Mapping[str, JSON]) -> None:
    """Check the data against the parameters of the body, where its code is here.

    Raises:
        TypeError: when they are not those that it takes.

    """
    if not isinstance(values, Mapping):
        raise TypeError(f"a job's data are named values, not {values!r:.100}")
    if not isinstance(task, str) and task.typing:
        getattr(task, "__header__")(**values)  # noqa: B009 (not in the stubs)
