"""The lists of the queues on the broker's server, looked at and changed beside workers."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import time
from typing import Any
from uuid import uuid4

from tasks.broker.access import Server
from tasks.errors import BadCursor
from tasks.queued import scripts
from tasks.queued.job import NEXT, Place, QueuedJob, digest_of, read

ANCHORS = 3
"""Jobs by which the next page finds where the last one has ended; one of them may well be gone."""

SEEK_MOST = 10_000
"""Messages from either end that are looked through for a job's id."""

SEEK_STEP = 500
"""Messages that are looked through in one step: about a millisecond of the server's."""

_DIGEST = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Cursor:
    """Where a page has ended."""

    priority: int
    from_next: int
    from_last: int
    digests: tuple[str, ...]
    """Of its last jobs, the very last one first."""

    def __str__(self) -> str:
        return ".".join(map(str, (self.priority, self.from_next, self.from_last, *self.digests)))


def cursor_of(text: str) -> Cursor:
    """Read what a page gave.

    Raises:
        BadCursor: when it is something else.

    """
    try:
        priority, from_next, from_last, *digests = text.split(".")
        if not 1 <= len(digests) <= ANCHORS or not all(map(_DIGEST.fullmatch, digests)):
            raise BadCursor(text)
        return Cursor(int(priority), int(from_next), int(from_last), tuple(digests))
    except ValueError as error:
        raise BadCursor(text) from error


class QueueStore:
    """The waiting messages on one server. Safe to use from several threads."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.client
        script = server.client.register_script
        self._look = script(scripts.LOOK)
        self._seek = script(scripts.SEEK)
        self._find = script(scripts.FIND)
        self._replace = script(scripts.REPLACE)
        self._move = script(scripts.MOVE)
        self._move_next = script(scripts.MOVE_NEXT)
        self._remove = script(scripts.REMOVE)

    @property
    def priorities(self) -> tuple[int, ...]:
        """The priorities that have a list of their own, the highest first."""
        return tuple(self._server.channel.priority_steps)

    # -- looking -----------------------------------------------------------------------------------

    def lengths(self, queue: str) -> dict[int, int]:
        """Return how many wait at each priority."""
        with self._client.pipeline(transaction=True) as pipe:
            for priority in self.priorities:
                pipe.llen(self._list(queue, priority))
            return dict(zip(self.priorities, pipe.execute(), strict=True))

    def page(
        self, queue: str, end: str, cursor: Cursor | None, most: int
    ) -> tuple[list[QueuedJob], Cursor | None]:
        """Return up to `most` messages from one end, and what leads on; None if nothing follows."""
        order = self.priorities if end == NEXT else self.priorities[::-1]
        if cursor is not None:
            order = order[order.index(cursor.priority) :] if cursor.priority in order else ()
        jobs: list[QueuedJob] = []
        for priority in order:
            at = cursor if cursor is not None and cursor.priority == priority else None
            # One more than wanted tells whether there is another page.
            jobs += self.part(queue, priority, end, most + 1 - len(jobs), at)
            if len(jobs) > most:
                return jobs[:most], _cursor(jobs[:most])
        return jobs, None

    def part(
        self, queue: str, priority: int, end: str, most: int, at: Cursor | None = None
    ) -> list[QueuedJob]:
        """Return up to `most` messages of one list from one end, or from where a page has ended."""
        arguments: list[Any] = [end, most]
        if at is not None:
            arguments += [at.from_next, at.from_last, *at.digests]
        length, start, rows = self._look([self._list(queue, priority)], arguments)
        step = -1 if end == NEXT else 1
        return [
            _job(message, queue, priority, int(start) + step * i, int(length))
            for i, message in enumerate(rows)
        ]

    def find(self, place: Place) -> QueuedJob | None:
        """Return the message of this place, with the place where it is now; None: it is gone."""
        answer = self._find([self._list(place.queue, place.priority)], _where(place))
        if answer is None:
            return None
        length, index, message = answer
        return _job(message, place.queue, place.priority, int(index), int(length))

    def seek(self, queue: str, job_id: str, most: int = SEEK_MOST) -> QueuedJob | None:
        """Look for a job by its id near both ends of the queue, at `most` messages from each."""
        for priority, first, last in self._spans(queue, most):
            span: list[Any] = [first, last, *texts_of(job_id)]
            length, rows = self._seek([self._list(queue, priority)], span)
            for index, message in rows:
                job = _job(message, queue, priority, int(index), int(length))
                if job.job_id == job_id:
                    return job
        return None

    # -- changing ----------------------------------------------------------------------------------

    def replace(self, place: Place, message: bytes) -> QueuedJob | None:
        """Put another message in the place of this one; None: it is gone."""
        key = self._list(place.queue, place.priority)
        answer = self._replace([key], [*_where(place), message])
        if answer is None:
            return None
        length, index = map(int, answer)
        return _job(message, place.queue, place.priority, index, length)

    def to_end(self, place: Place, to: str, message: bytes) -> bool:
        """Take it out, and put `message` behind what waits in another queue; False: it is gone."""
        return self._moved(place, self._list(to, place.priority), to, "LPUSH", message)

    def to_front(self, place: Place, message: bytes) -> bool:
        """Take it out, and put it before all others of its queue; False: it is gone."""
        key = self._list(place.queue, self.priorities[0])
        return self._moved(place, key, place.queue, "RPUSH", message)

    def move_next(self, queue: str, priority: int, to: str, messages: Sequence[bytes]) -> int:
        """Move those whose turn is next; return how many of them were not taken meanwhile.

        `messages` are in turn a message and what it is to be in the other queue, `to`.

        """
        keys = [self._list(queue, priority), self._list(to, priority), self._server.key(to)]
        arguments = [
            part
            for old, new in zip(messages[::2], messages[1::2], strict=True)
            for part in (digest_of(old), new)
        ]
        return int(self._move_next(keys, arguments))

    def remove(self, jobs: Sequence[QueuedJob], places: Sequence[Place], keep: int) -> list[bool]:
        """Take messages out, each in one step; those that are no jobs go to quarantine.

        Returns for each whether it was there still.
        """
        names = self._server.keys
        with self._client.pipeline(transaction=False) as pipe:
            for job, place in zip(jobs, places, strict=True):
                keys = [self._list(place.queue, place.priority), names.deaths, names.quarantine]
                arguments = [*_where(place), uuid4().hex, about(job), keep]
                self._remove(keys, arguments, client=pipe)
            return [bool(answer) for answer in pipe.execute()]

    # -- how ---------------------------------------------------------------------------------------

    def _spans(self, queue: str, most: int) -> Iterator[tuple[int, int, int]]:
        for priority, length in self.lengths(queue).items():
            for near in range(0, min(length, most), SEEK_STEP):
                yield priority, -near - SEEK_STEP, -near - 1
                yield priority, near, near + SEEK_STEP - 1

    def _moved(self, place: Place, key: str, queue: str, command: str, message: bytes) -> bool:
        keys = [self._list(place.queue, place.priority), key, self._server.key(queue)]
        return bool(self._move(keys, [*_where(place), command, message, uuid4().hex]))

    def _list(self, queue: str, priority: int) -> str:
        return self._server.queue_key(queue, priority)


def texts_of(job_id: str) -> set[bytes]:
    """Return what a message of this job must have in it."""
    return {json.dumps(job_id).encode(), json.dumps(job_id, ensure_ascii=False).encode()}


def about(job: QueuedJob) -> str:
    """Return what quarantine is to know of a message that is no job, as JSON; '' for a job."""
    if job.fault is None:
        return ""
    reason = f"removed by hand; {job.fault}"
    return json.dumps({"queue": job.queue, "reason": reason, "at": time()})


def _where(place: Place) -> list[Any]:
    return [place.digest, place.from_next, place.from_last]


def _job(message: bytes, queue: str, priority: int, index: int, length: int) -> QueuedJob:
    place = Place(digest_of(message), priority, length - 1 - index, index, queue)
    return read(message, queue, priority, str(place))


def _cursor(jobs: Sequence[QueuedJob]) -> Cursor:
    last = jobs[-1]
    from_next, from_last = last.ref.split(".")[2:4]
    same = [job for job in jobs[: -ANCHORS - 1 : -1] if job.priority == last.priority]
    digests = tuple(digest_of(job.message) for job in same)
    return Cursor(last.priority, int(from_next), int(from_last), digests)
