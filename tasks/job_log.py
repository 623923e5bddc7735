"""The last log lines of each job, kept beside its state.

A handler takes every line that is logged while a job runs, masks it, and leaves it in memory; a
thread sends what has gathered, twice a second and for all jobs together. So no job waits for it,
and one that logs nothing costs nothing. `JOB_LOG_LINES` lines of each job are kept, as long as its
state, each of `LONGEST_LINE` characters; 0 switches it off. What a killed process had not sent is
lost, and so is what a broker that is away for long cannot take: `MOST_WAITING` lines wait.
"""

import json
import logging
import os
from collections import deque
from collections.abc import Iterable
from threading import Event, Thread
from typing import Any

import redis
from celery import Celery, signals

from config import bound as log_fields
from config.masking import rules
from config.settings import framework_settings
from tasks.results import JobResults

LONGEST_LINE = 500
MOST_WAITING = 5_000
FLUSH_SECONDS = 0.5

TOLD_BY_THE_TIMELINE = "tasks"
"""The logger of `job received`, `job started`, ...: `tasks/timeline.py` has their times."""

Line = tuple[str, str]
"""A job's id, and the line as JSON."""


class JobLog(logging.Handler):
    """The handler. Made in a worker's main process; each process of its pool has its own lines."""

    def __init__(self, app: Celery, most: int) -> None:
        super().__init__()
        self._app = app
        self._most = most
        self._pid = os.getpid()
        self._waiting: deque[Line] = deque(maxlen=MOST_WAITING)
        self._sender: Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line if a job runs."""
        job_id = log_fields.bound("job_id")
        if job_id is None or record.name == TOLD_BY_THE_TIMELINE:
            return
        if self._pid != os.getpid():
            self._begin()
        try:
            text = rules().text(_text(record))[:LONGEST_LINE]
        except Exception:  # noqa: BLE001 (as every handler: a bad line must not end a job)
            self.handleError(record)
            return
        line = [round(record.created, 6), record.levelname, record.name, text]
        self._waiting.append((job_id, json.dumps(line)))
        if self._sender is None:
            self._sender = Thread(target=self._run, name="job-log", daemon=True)
            self._sender.start()

    def send(self) -> None:
        """Send what waits; what the server does not take is lost."""
        by_job: dict[str, list[str]] = {}
        while self._waiting and self._pid == os.getpid():
            job_id, line = self._waiting.popleft()
            by_job.setdefault(job_id, []).append(line)
        backend = self._app.backend if by_job else None
        if not isinstance(backend, JobResults):
            return
        with backend.client.pipeline(transaction=False) as pipe:
            for job_id, lines in by_job.items():
                self._push(pipe, backend, job_id, lines)
            pipe.execute()

    def _push(
        self,
        pipe: Any,  # noqa: ANN401 (redis-py's pipeline is generic over its answers)
        backend: JobResults,
        job_id: str,
        lines: Iterable[str],
    ) -> None:
        key = backend.log_key(job_id)
        pipe.rpush(key, *lines)
        pipe.ltrim(key, -self._most, -1)
        pipe.expire(key, framework_settings().result_failure_expires)

    def _begin(self) -> None:
        """Begin with nothing: what this process's parent had is the parent's to send."""
        self._pid = os.getpid()
        self._waiting.clear()
        self._sender = None

    def _run(self) -> None:
        pause = Event()
        while not pause.wait(FLUSH_SECONDS):
            try:
                self.send()
            except redis.RedisError:
                # Nobody should be told by a log line, which would come here, too.
                continue


def connect(app: Celery) -> None:
    """Have the workers of this app keep lines. Called once, where the app is made."""
    handlers: list[JobLog] = []

    # Not before logging is set up, which takes all handlers away.
    def begin(**_: object) -> None:
        most = framework_settings().job_log_lines
        if most and not handlers:
            handlers.append(JobLog(app, most))
            logging.getLogger().addHandler(handlers[0])

    def end(**_: object) -> None:
        for handler in handlers:
            try:
                handler.send()
            except redis.RedisError:
                continue

    signals.celeryd_after_setup.connect(begin, weak=False)
    signals.worker_process_shutdown.connect(end, weak=False)
    signals.worker_shutdown.connect(end, weak=False)


def _text(record: logging.LogRecord) -> str:
    if not isinstance(record.msg, dict):
        text = record.getMessage()
    else:
        # A line of structlog's.
        about = {"event", "timestamp", "level", "logger", "job_id", "task", "request_id"}
        more = rules().value({k: v for k, v in record.msg.items() if k not in about})
        text = " ".join([str(record.msg.get("event", "")), *(f"{k}={v}" for k, v in more.items())])
    error = record.exc_info[1] if record.exc_info else None
    return f"{text}: {type(error).__name__}: {error}" if error is not None else text
