"""The failed jobs on the broker's server: kept, found, put back into their queues, discarded."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoScriptError

from tasks.broker.access import Server
from tasks.failed import scripts
from tasks.failed.job import FailedJob, Filter, read

KEY = "expresslane-failed"

STEP = 200
"""Jobs that are handled in one trip to the server."""

LOOK_AT = 2_000
"""Jobs that one step looks at, at most, for those that fit: some milliseconds of the server's."""


@dataclass(frozen=True)
class Failure:
    """A failure that is to be kept."""

    job_id: str
    task: str
    queue: str
    error_type: str
    details: str
    """JSON of what `FailedJob` has beside its names, its time and its message."""
    tag: str = ""
    """The claim that the job came in, if any."""
    must_be_held: bool = False
    """Whether the job is somebody else's when this claim is held no more."""
    message: bytes = b""
    """Its message, unless the claim has it."""


@dataclass(frozen=True)
class Kept:
    """What came of keeping a failure."""

    is_lost: bool
    """Its claim was held no more; nothing was kept."""
    dropped: tuple[str, ...]
    """The ids of older jobs that have made room."""


@dataclass(frozen=True)
class Entry:
    """A failed job with what proves that it is still the same one."""

    job: FailedJob
    digest: str


@dataclass(frozen=True)
class Found:
    """What one look has found: how many, and their ids, times and values as far as asked for."""

    count: int
    rows: list[list[bytes]]
    cursor: str | None
    """Where the next look begins; None when there is nothing more."""


class FailedStore:
    """The failed jobs on one server. Safe to use from several threads."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.client
        self._key = server.key(KEY)
        script = server.client.register_script
        self._store = script(scripts.STORE)
        self._walk = script(scripts.WALK)
        self._requeue = script(scripts.REQUEUE)
        self._discard = script(scripts.DISCARD)

    # -- in and out --------------------------------------------------------------------------------

    def store(self, failure: Failure, most: int, seconds: int) -> Kept:
        """Keep a failure, and be done with its claim, in one step.

        Args:
            failure: what has failed; one of the same job that is kept already is replaced.
            most: how many failed jobs are kept; the oldest make room.
            seconds: for how long one is kept.

        """
        keys = [self._key, self._server.keys.unacked, self._server.keys.deaths]
        arguments: list[bytes | str | int] = [
            *(failure.job_id, failure.tag, int(failure.must_be_held)),
            *(failure.task, failure.queue, failure.error_type),
            *(failure.details, failure.message, most, seconds),
        ]
        answer, dropped = self._store(keys, arguments)
        return Kept(answer == b"lost", tuple(job_id.decode() for job_id in dropped))

    def requeue(self, messages: Sequence[tuple[Entry, bytes]]) -> list[str]:
        """Put each job's new message into its queue and take the job out of here, in one step each.

        Returns for each `queued`; `gone` if it was not here; `changed` if it has failed anew.
        """
        calls = [self._requeue_call(entry.job, entry.digest, new) for entry, new in messages]
        with self._client.pipeline(transaction=False) as pipe:
            for keys, arguments in calls:
                self._requeue(keys, arguments, client=pipe)
            answers = pipe.execute(raise_on_error=False)
        for i, answer in enumerate(answers):
            if isinstance(answer, NoScriptError):
                # The server has forgotten the script meanwhile; alone, it is sent along again.
                answers[i] = self._requeue(*calls[i])
            elif isinstance(answer, Exception):
                raise answer
        return [answer.decode() for answer in answers]

    def discard(self, job_ids: Sequence[str]) -> int:
        """Forget these jobs; return how many of them were here."""
        return int(self._discard([self._key], job_ids)) if job_ids else 0

    # -- looking -----------------------------------------------------------------------------------

    def get_many(self, job_ids: Sequence[str]) -> list[Entry]:
        """Return those of the jobs that are here."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.hmget(self._key, job_ids)
            pipe.zmscore(f"{self._key}-at", list(job_ids))
            values, times = pipe.execute()
        return [
            Entry(read(job_id, at, value), hashlib.sha1(value, usedforsecurity=False).hexdigest())
            for job_id, at, value in zip(job_ids, times, values, strict=True)
            if value is not None
        ]

    def newest(
        self, where: Filter, cursor: str | None, most: int
    ) -> tuple[list[FailedJob], str | None]:
        """Return up to `most` jobs, the newest first, and what leads on; None at the end."""
        rows: list[list[bytes]] = []
        bounds = self._bounds(where)
        # One more than wanted tells whether there is another page.
        while len(rows) <= most:
            found = self._look(where, bounds, cursor or "", most + 1 - len(rows), "REV", "values")
            rows += found.rows
            cursor = found.cursor
            if cursor is None:
                break
        jobs = [read(job_id.decode(), float(at), value) for job_id, at, value in rows[:most]]
        if len(rows) <= most:
            return jobs, None
        last_id, last_at, _ = rows[most - 1]
        return jobs, _cursor(last_at, last_id)

    def oldest(self, where: Filter) -> Iterator[list[str]]:
        """Yield the ids of the jobs in parts, the oldest first; none that fails after this call."""
        first, last = self._bounds(where)
        bounds = (first, f"{self._now():.6f}" if last == "+inf" else last)
        cursor: str | None = ""
        while cursor is not None:
            found = self._look(where, bounds, cursor, STEP, "FORTH", "ids")
            cursor = found.cursor
            if found.rows:
                yield [row[0].decode() for row in found.rows]

    def count(self, where: Filter) -> int:
        """Return how many there are."""
        sets, bounds = self._sets(where), self._bounds(where)
        if len(sets) == 1:
            return int(self._client.zcount(sets[0], *bounds))
        total = 0
        cursor: str | None = ""
        while cursor is not None:
            found = self._look(where, bounds, cursor, LOOK_AT, "FORTH", "count")
            total, cursor = total + found.count, found.cursor
        return total

    def dropped(self) -> int:
        """Return how many have ever made room for newer ones or become too old."""
        return int(self._client.get(f"{self._key}-dropped") or 0)

    # -- how ---------------------------------------------------------------------------------------

    def _requeue_call(self, job: FailedJob, digest: str, new: bytes) -> tuple[list[str], list[Any]]:
        place = self._server.queue_key(job.queue, job.priority)
        return [self._key, place, self._server.queue_key(job.queue)], [job.job_id, digest, new]

    def _look(
        self,
        where: Filter,
        bounds: tuple[str, str],
        cursor: str,
        want: int,
        direction: str,
        answer: str,
    ) -> Found:
        at, _, job_id = cursor.partition(":")
        arguments: list[Any] = [direction, *bounds, at, job_id, want, LOOK_AT, answer]
        keys = [self._key, *self._sets(where)]
        is_all, seen_at, seen, count, rows = self._walk(keys, arguments)
        return Found(int(count), rows, None if is_all else _cursor(seen_at, seen))

    def _sets(self, where: Filter) -> list[str]:
        named = {"task": where.task, "queue": where.queue, "error": where.error}
        sets = [f"{self._key}-{kind}:{name}" for kind, name in named.items() if name is not None]
        return sets or [f"{self._key}-at"]

    def _bounds(self, where: Filter) -> tuple[str, str]:
        """Return the oldest and the newest time of failure that fit."""
        if where.older_than is None and where.newer_than is None:
            return "-inf", "+inf"
        now = self._now()
        return (
            "-inf" if where.newer_than is None else f"{now - where.newer_than:.6f}",
            "+inf" if where.older_than is None else f"{now - where.older_than:.6f}",
        )

    def _now(self) -> float:
        """Return the time by the server's clock, which failures are dated by."""
        seconds, microseconds = self._client.time()
        return float(seconds + microseconds / 1_000_000)


def _cursor(at: bytes, job_id: bytes) -> str:
    return f"{at.decode()}:{job_id.decode()}"
