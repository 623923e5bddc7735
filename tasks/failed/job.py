"""A failed job as one reads it, which of them one means, and what came of what one did to them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from config.masking import rules
from tasks.failed import message
from tasks.failed.message import RERUNS


@dataclass(frozen=True)
class FailedJob:
    """A job that has failed for good."""

    job_id: str
    task: str
    """Its task's name, which may be one that nobody has registered."""
    queue: str
    """Where a retry puts it."""
    error_type: str
    """The name of the error's class, such as `OrderRefused`."""
    error: str
    """The error's own sentence."""
    traceback: str = field(repr=False)
    """Empty when the worker was gone before it could tell one."""
    attempts: int
    """How often its body was started in this run."""
    deaths: int
    """How many workers have ended over it, in its last attempt."""
    worker: str
    """The worker that met the error."""
    failed_at: datetime
    """In UTC, by the clock of the broker's server."""
    message: bytes = field(repr=False)
    """What was on the queue's list."""

    @cached_property
    def envelope(self) -> Mapping[str, Any]:
        """The message: body, headers, properties."""
        found: Mapping[str, Any] = json.loads(self.message)
        return found

    @property
    def headers(self) -> Mapping[str, Any]:
        """The message's headers: Celery's, and those of the caller, such as `request_id`."""
        found: Mapping[str, Any] = self.envelope["headers"]
        return found

    @cached_property
    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and the named arguments.

        Raises:
            ContentDisallowed: when they are not written as JSON.

        """
        return message.arguments(self.envelope)

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments."""
        return self.arguments[0]

    @property
    def data(self) -> dict[str, Any]:
        """What the job was scheduled with: the named arguments."""
        return self.arguments[1]

    @property
    def priority(self) -> int:
        """Its priority; 0 is the highest."""
        return int(self.envelope["properties"].get("priority") or 0)

    @property
    def reruns(self) -> int:
        """The number of the run: how often the job was begun anew, by a retry or by the outbox."""
        return int(self.headers.get(RERUNS) or 0)

    @property
    def request_id(self) -> str | None:
        """The id of the web request that has caused it, if there was one."""
        found = self.headers.get("request_id")
        return str(found) if found else None

    def as_json(self, *, reveal: bool = False) -> dict[str, Any]:
        """Return all that a reader may want, as JSON can carry it.

        What `config/masking.py` hides is hidden, unless it is to be revealed.
        """

        def masked(value: Any) -> Any:  # noqa: ANN401 (any JSON)
            return value if reveal else rules().value(value)

        stored = {part.name: getattr(self, part.name) for part in fields(self)}
        del stored["message"]
        return {
            **stored,
            "error": masked(self.error),
            "traceback": masked(self.traceback),
            "failed_at": self.failed_at.isoformat(),
            "args": masked(list(self.args)),
            "data": masked(self.data),
            "priority": self.priority,
            "reruns": self.reruns,
            "request_id": self.request_id,
        }


@dataclass(frozen=True)
class Filter:
    """Which failed jobs one means; every field that is not None must fit. By default all."""

    task: str | None = None
    queue: str | None = None
    error: str | None = None
    """The name of the error's class."""
    older_than: float | None = None
    """Failed at least so many seconds ago."""
    newer_than: float | None = None
    """Failed at most so many seconds ago."""


@dataclass(frozen=True)
class Page:
    """Some failed jobs, the newest first."""

    jobs: tuple[FailedJob, ...]
    total: int
    """How many there are on all pages."""
    next_cursor: str | None
    """What leads to the next page; None on the last one."""


@dataclass(frozen=True)
class Outcome:
    """What came of retrying or discarding many jobs."""

    done: int
    """How many were retried, or discarded."""
    gone: int
    """How many somebody else had retried or discarded meanwhile."""


def read(job_id: str, failed_at: float, value: bytes) -> FailedJob:
    """Make a failed job of what the server keeps of it."""
    names, details, content = value.split(b"\n", 2)
    task, queue, error_type, _ = json.loads(names)
    return FailedJob(
        job_id=job_id,
        task=task,
        queue=queue,
        error_type=error_type,
        failed_at=datetime.fromtimestamp(failed_at, UTC),
        message=content,
        **json.loads(details),
    )
