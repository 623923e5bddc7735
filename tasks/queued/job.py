"""A message that waits, as one reads it: suspicious of its bytes, which anybody may have put there.

A message is named by a reference, a text that fits into a URL or a form. It tells where the message
was seen and the SHA-1 of its bytes, so it leads to this very message or to none.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from config.masking import rules
from tasks.broker.envelope import parse
from tasks.enqueued import waiting_since
from tasks.errors import JobGone
from tasks.failed import message as messages
from tasks.failed.message import RERUNS
from tasks.message import check_body, check_headers
from tasks.raw import readable

NEXT = "next"
"""The end of a queue that workers take from: the job whose turn is next comes first."""

LAST = "last"
"""The other end: the job that came last comes first."""


@dataclass(frozen=True)
class QueuedJob:
    """A job that waits in a queue or for its time; or a message there that is no job."""

    ref: str
    """Names it in the calls of `tasks.pending`, while it waits."""
    queue: str
    priority: int
    """That of the list that it waits in; 0 is the highest."""
    message: bytes
    """All of it, as it is on the list."""
    fault: str | None = None
    """Why it is no job; None for a job. The fields below are empty then."""
    job_id: str | None = None
    task: str | None = None
    args: tuple[Any, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    """The named arguments."""
    enqueued_at: datetime | None = None
    """Since when it waits, in UTC; None where its producer has not noted it (a stock Celery)."""
    attempts: int = 0
    """How often its body was started so far."""
    reruns: int = 0
    """How often somebody has retried it after it had failed for good."""
    request_id: str | None = None
    due: datetime | None = None
    """When its time comes, in UTC; None for a job in a queue."""
    headers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_job(self) -> bool:
        """Tell whether it is a job; else it will go to quarantine when a worker takes it."""
        return self.fault is None

    @property
    def name(self) -> str:
        """What to call it: the job's id, or its reference."""
        return self.job_id or self.ref

    def as_json(self, *, reveal: bool = False) -> dict[str, Any]:
        """Return all that a reader may want, as JSON can carry it.

        What `config/masking.py` hides is hidden, unless it is to be revealed.
        """

        def masked(value: Any) -> Any:  # noqa: ANN401 (any JSON)
            return value if reveal else rules().value(value)

        return {
            "ref": self.ref,
            "queue": self.queue,
            "priority": self.priority,
            "job_id": self.job_id,
            "task": self.task,
            "args": masked(list(self.args)),
            "data": masked(dict(self.data)),
            "enqueued_at": self.enqueued_at.isoformat() if self.enqueued_at else None,
            "attempts": self.attempts,
            "reruns": self.reruns,
            "request_id": self.request_id,
            "due": self.due.isoformat() if self.due else None,
            "fault": masked(self.fault),
            **({} if self.is_job else {"message": readable(self.message, reveal=reveal)}),
        }


HELD = "held"
"""A worker has claimed the job; whether it runs already, its state tells."""

DELAYED = "delayed"
"""The job waits for its time."""

QUEUED = "queued"
"""The job waits in its queue."""


@dataclass(frozen=True)
class Sighting:
    """Where a job is that has not ended."""

    where: str
    """`HELD`, `DELAYED` or `QUEUED`."""
    job: QueuedJob


@dataclass(frozen=True)
class Page:
    """Some of the jobs that wait."""

    jobs: tuple[QueuedJob, ...]
    total: int
    """How many there are on all pages."""
    next_cursor: str | None
    """What leads to the next page; None on the last one."""


@dataclass(frozen=True)
class Outcome:
    """What came of moving or removing many jobs."""

    done: int
    gone: int
    """How many a worker, or somebody else, took first."""


@dataclass(frozen=True)
class Place:
    """Where a message was seen, and the proof that it is the one."""

    digest: str
    """SHA-1 of its bytes."""
    priority: int
    from_next: int
    """How many messages of its list were taken before it; 0 is the one whose turn is next."""
    from_last: int
    """How many of its list came after it."""
    queue: str

    def __str__(self) -> str:
        numbers = f"{self.digest}.{self.priority}.{self.from_next}.{self.from_last}"
        return f"{numbers}.{self.queue}"


def place_of(ref: str) -> Place:
    """Read a reference.

    Raises:
        JobGone: when it is none.

    """
    try:
        digest, priority, from_next, from_last, queue = ref.split(".", 4)
        return Place(digest, int(priority), int(from_next), int(from_last), queue)
    except ValueError as error:
        raise JobGone(ref, "this names no waiting job; take the reference from a list") from error


def digest_of(message: bytes) -> str:
    """Return what proves that a message is the same one."""
    return hashlib.sha1(message, usedforsecurity=False).hexdigest()


def read(
    message: bytes, queue: str, priority: int, ref: str, due: float | None = None
) -> QueuedJob:
    """Read a waiting message; whatever its bytes are, it can be shown."""
    at = None if due is None else datetime.fromtimestamp(due, UTC)
    try:
        return _read(message, queue, priority, ref, at)
    except Exception as error:  # noqa: BLE001 (anything may be wrong with such bytes)
        fault = f"{type(error).__name__}: {error}"[:500]
        return QueuedJob(ref, queue, priority, message, fault=fault, due=at)


def _read(message: bytes, queue: str, priority: int, ref: str, due: datetime | None) -> QueuedJob:
    envelope = parse(message)
    headers = envelope["headers"]
    check_headers(headers)
    if envelope.get("content-type") != "application/json":
        raise ValueError(f"its content type is {envelope.get('content-type')!r:.100}, not JSON")
    args, kwargs, embed = messages.body(envelope)
    check_body([args, kwargs, embed])
    since = waiting_since(headers)
    # Data that JSON cannot carry on would break whoever shows them.
    json.dumps([args, kwargs], default=str)
    return QueuedJob(
        ref=ref,
        queue=queue,
        priority=priority,
        message=message,
        job_id=headers["id"],
        task=headers["task"],
        args=tuple(args),
        data=kwargs,
        enqueued_at=None if since is None else datetime.fromtimestamp(since, UTC),
        attempts=int(headers.get("retries") or 0),
        reruns=int(headers.get(RERUNS) or 0),
        request_id=str(headers["request_id"]) if headers.get("request_id") else None,
        due=due,
        headers=headers,
    )
