"""One job from beginning to end: when it was sent, claimed, started, retried and finished.

    found = timeline_of(app, job_id)
    for step in found.steps(): print(step.at, step.text)

The times ride along in what the result backend writes anyway (`tasks/results.py`), so they cost a
job no trip to the server, and are kept as long as its state. A job whose results are ignored has
none. *Sent* is by the producer's clock, *claimed* by the worker's, the rest by the server's.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis
from celery import Celery, states

from tasks.errors import Unreachable
from tasks.results import JobResults


@dataclass(frozen=True)
class Attempt:
    """One attempt. A time that is not known, or not there yet, is None; all are in UTC."""

    number: int
    state: str
    """Celery's name of how it ended, or is."""
    queued_at: datetime | None
    claimed_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    worker: str
    error: str
    """Not masked, and cut after 300 characters."""


@dataclass(frozen=True)
class Step:
    """Something that happened to the job."""

    at: datetime
    text: str


@dataclass(frozen=True)
class LogLine:
    """A line that was logged while the job ran, masked."""

    at: datetime
    level: str
    logger: str
    text: str


@dataclass(frozen=True)
class Timeline:
    """All that is known of when what happened to a job."""

    attempts: tuple[Attempt, ...]
    """The first ones first. The last 21 are kept."""
    lines: tuple[LogLine, ...]
    """The last ones that were logged (`JOB_LOG_LINES`)."""

    def steps(self) -> list[Step]:
        """Return what happened, in order. The next attempt is sent before this one ends."""
        found = []
        for one in self.attempts:
            known = (
                (one.queued_at, "sent" if one.number <= 1 else f"sent for attempt {one.number}"),
                (one.claimed_at, "claimed by a worker"),
                (one.started_at, f"started, attempt {one.number}, at {one.worker}"),
                (one.ended_at, _end(one)),
            )
            found += [Step(at, text) for at, text in known if at is not None]
            if one is not self.attempts[-1] and one.started_at and not one.ended_at:
                found.append(Step(one.started_at, "its worker died over it, or lost it"))
        return sorted(found, key=lambda step: step.at)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it; not masked."""
        return {
            "steps": [{"at": step.at.isoformat(), "text": step.text} for step in self.steps()],
            "log": [{**vars(line), "at": line.at.isoformat()} for line in self.lines],
        }


def timeline_of(app: Celery, job_id: str) -> Timeline | None:
    """Return what is known of the job; None when that is nothing.

    Raises:
        Unreachable: when the result backend did not answer.

    """
    backend = app.backend
    if not isinstance(backend, JobResults):
        raise TypeError(f"a timeline needs our result backend, not {backend!r}")
    try:
        meta, fields, lines = backend.timeline_fields(job_id)
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise Unreachable(str(error), "ask again later") from error
    text = {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
    before = [_attempt(one) for one in json.loads(text.get("tries", "[]"))]
    if "queued" in text or "ended" in text:
        last = [_attempt(text)]
    elif meta is not None and meta["status"] == states.PENDING:
        last = [_attempt({"state": states.PENDING, "queued": meta.get("enqueued_at")})]
    else:
        last = []
    if not (before or last or lines):
        return None
    return Timeline((*before, *last), tuple(map(_line, lines)))


def _attempt(stored: Mapping[str, Any]) -> Attempt:
    # Lua writes `false` for what is not there.
    return Attempt(
        number=int(stored.get("attempt") or 1),
        state=str(stored.get("state") or ""),
        queued_at=_time(stored.get("queued")),
        claimed_at=_time(stored.get("claimed")),
        started_at=_time(stored.get("started")),
        ended_at=_time(stored.get("ended")),
        worker=str(stored.get("worker") or ""),
        error=str(stored.get("error") or ""),
    )


def _time(stored: object) -> datetime | None:
    return datetime.fromtimestamp(float(str(stored)), UTC) if stored else None


def _end(one: Attempt) -> str:
    words = {
        states.SUCCESS: "finished",
        states.FAILURE: "failed for good",
        states.RETRY: "failed, to be tried again",
        states.REVOKED: "cancelled",
    }
    text = words.get(one.state, one.state)
    return f"{text}: {one.error}" if one.error else text


def _line(stored: bytes) -> LogLine:
    at, level, logger, text = json.loads(stored)
    return LogLine(datetime.fromtimestamp(at, UTC), level, logger, text)
