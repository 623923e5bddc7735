"""What waits on the broker's server for its time: jobs for later, and jobs that retry."""

import json
import re
from typing import Any

from tasks.broker.access import Server
from tasks.errors import BadCursor
from tasks.queued import scripts
from tasks.queued.job import QueuedJob, digest_of, read
from tasks.queued.store import SEEK_MOST, SEEK_STEP, about, texts_of

_STORED = re.compile(rb'^\[(.*),"",(".*")\]$', re.DOTALL)


class DelayedStore:
    """The messages on one server whose time has not come. Safe to use from several threads."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._keys = [server.keys.delayed, server.keys.delayed_messages]
        script = server.client.register_script
        self._page = script(scripts.DELAYED)
        self._seek = script(scripts.SEEK_DELAYED)
        self._seek_held = script(scripts.SEEK_HELD)
        self._run_now = script(scripts.RUN_NOW)
        self._cancel = script(scripts.CANCEL)

    def page(self, cursor: str | None, most: int) -> tuple[list[QueuedJob], int, str | None]:
        """Return up to `most` jobs, how many there are in all, and what leads on.

        Raises:
            BadCursor: when the cursor is none of this method's.

        """
        arguments: list[Any] = [most, *(_cursor_of(cursor) if cursor is not None else ())]
        total, reached, rows = self._page(self._keys, arguments)
        jobs = [_job(tag.decode(), float(due), stored) for tag, due, stored in rows]
        if not rows or reached >= total:
            return jobs, int(total), None
        tag, due, _ = rows[-1]
        return jobs, int(total), f"{due.decode()}:{tag.decode()}"

    def find(self, tag: str) -> QueuedJob | None:
        """Return one job; None if it is not there any more."""
        with self._server.client.pipeline(transaction=True) as pipe:
            pipe.zscore(self._keys[0], tag)
            pipe.hget(self._keys[1], tag)
            due, stored = pipe.execute()
        return None if due is None or stored is None else _job(tag, due, stored)

    def seek(self, job_id: str) -> QueuedJob | None:
        """Look for a job by its id among those that are due first; None if it is not there."""
        most = min(SEEK_MOST, int(self._server.client.zcard(self._keys[0])))
        for first in range(0, most, SEEK_STEP):
            span: list[Any] = [first, first + SEEK_STEP - 1, *texts_of(job_id)]
            for tag, due, stored in self._seek(self._keys, span):
                job = _job(tag.decode(), float(due), stored)
                if job.job_id == job_id:
                    return job
        return None

    def seek_held(self, job_id: str) -> QueuedJob | None:
        """Look for a job by its id among those that workers hold; None if it is not there.

        None as well when they hold more than a thousand: looking at those would take long.
        """
        keys = [self._server.keys.unacked]
        for tag, stored in self._seek_held(keys, [*texts_of(job_id)]) or ():
            job = _job(tag.decode(), None, stored)
            if job.job_id == job_id:
                return job
        return None

    def run_now(self, job: QueuedJob, message: bytes) -> bool:
        """Put `message` at the front of the job's queue in its stead; False: it is gone."""
        place = self._server.queue_key(job.queue, job.priority)
        keys = [*self._keys, place, self._server.key(job.queue)]
        return bool(self._run_now(keys, [job.ref, digest_of(_stored(job)), message]))

    def cancel(self, job: QueuedJob, keep: int) -> bool:
        """Take it out, to quarantine if it is no job; False: it is gone."""
        names = self._server.keys
        proof = digest_of(_stored(job))
        arguments: list[Any] = [job.ref, proof, job.message, about(job), keep]
        return bool(self._cancel([*self._keys, names.deaths, names.quarantine], arguments))


def _job(tag: str, due: float | None, stored: bytes) -> QueuedJob:
    found = _STORED.match(stored)
    message, name = found.groups() if found else (stored, b'""')
    priority = tag.rpartition(".")[2]
    return read(message, json.loads(name), int(priority) if priority.isdigit() else 0, tag, due)


def _stored(job: QueuedJob) -> bytes:
    return b"[" + job.message + b',"",' + json.dumps(job.queue).encode() + b"]"


def _cursor_of(text: str) -> tuple[str, str]:
    due, colon, tag = text.partition(":")
    try:
        if not colon or not -1e12 < float(due) < 1e12:
            raise BadCursor(text)
    except ValueError as error:
        raise BadCursor(text) from error
    return due, tag
