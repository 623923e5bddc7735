"""One thing seen of the same jobs by two workers, of which one takes Celery's way: made alike.

Whatever belongs to one of the two has a name that begins with `short-` or `celerys-`: ids of jobs,
queues, workers. Without that, and without clocks and what is drawn anew, all must be equal.
"""

import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from socket import gethostname
from typing import Any

from tasks import failures, quarantine
from tasks.celery import app
from tasks.errors import NoSuchFailedJob
from tasks.history import History
from tests.support.plain_jobs import SEEN, WAYS
from tests.support.programs import Program
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

SHORT, CELERYS = "short", "celerys"
BOTH = (SHORT, CELERYS)

FINAL = ("SUCCESS", "FAILURE", "REVOKED")

_ALIKE = (
    (r"\b(short|celerys)-", ""),
    (r"lane-[0-9a-f]{32}\.\d+\.\d", "TAG"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
    (r"20(?!20)\d\d-\d\d-\d\d[T ][\d:.]+(\+00:00|Z)?", "TIME"),
    (r"\b1[6-9]\d{8}(\.\d+)?\b", "SECONDS"),
    (r'"expiration": "\d+"', '"expiration": "MILLISECONDS"'),
    (r"after \d+\.\d+ s\b", "after some time"),
    (r'("pid": |pid=|gen)\d+', r"\1PID"),
    (r"0x[0-9a-f]{6,}", "ADDRESS"),
    (r"\b(runtime|started)(\": |=)[\d.e-]+", r"\1\2SECONDS"),
    # A body that failed has run before, and its error is raised in the place of it: only frames of
    # the tests' own count.
    (r'(?m)^[ |+-]*File "[^"]*/(tasks|python3\.\d+)/[^"]*", line .*\n(?:[ |]{4,}.*\n)*', ""),
)


def alike(text: str) -> str:
    """Return the text without what may differ."""
    for pattern, instead in _ALIKE:
        text = re.sub(pattern, instead, text)
    return text


def all_alike(value: object) -> object:
    """Return the value with all texts in it made alike."""
    if isinstance(value, dict):
        return {name: all_alike(one) for name, one in value.items()}
    if isinstance(value, list):
        return [all_alike(one) for one in value]
    return alike(value) if isinstance(value, str) else value


@dataclass(frozen=True)
class Way:
    """One of the two workers, and what it leaves behind."""

    name: str
    pool: str
    server: Valkey
    worker: Program

    @property
    def client(self) -> Any:  # noqa: ANN401 (redis-py's is generic over its answers)
        """A client of the server."""
        return self.server.client

    @property
    def queue(self) -> str:
        """The queue that it works on."""
        return queue_of(self.name, self.pool)

    def job_id(self, name: str) -> str:
        """Return the id of the job of this name."""
        return id_of(self.name, self.pool, name)

    def state(self, name: str) -> str | None:
        """Return Celery's name of the job's state; None if nothing is stored."""
        found = self.client.get(f"celery-task-meta-{self.job_id(name)}")
        return str(json.loads(found)["status"]) if found else None

    def ways(self, name: str) -> list[str]:
        """Return by which way each run of the job came to its body."""
        found = self.client.lrange(f"{WAYS}{self.job_id(name)}", 0, -1)
        return [one.decode() for one in found]

    def is_idle(self) -> bool:
        """Tell whether nothing waits for it, and it holds nothing."""
        with self.client.pipeline() as pipe:
            pipe.hvals("unacked").hvals("delayed.messages").llen(self.queue)
            for priority in range(10):
                pipe.llen(f"{self.queue}\x06\x16{priority}")
            held, delayed, *waiting = pipe.execute()
        return not any(waiting) and not any(
            self.queue.encode() in message for message in (*held, *delayed)
        )

    def kept(self, name: str) -> dict[str, object]:
        """Return all that is kept of the job of this name."""
        return self.kept_of(self.job_id(name))

    def kept_of(self, job_id: str) -> dict[str, object]:
        """Return all that is kept of one job."""
        client = self.client
        fields = {
            key.decode(): value.decode() for key, value in client.hgetall(hash_of(job_id)).items()
        }
        tries = json.loads(fields.pop("tries", "[]"))
        meta = client.get(f"celery-task-meta-{job_id}")
        found: dict[str, object] = {
            "meta": meta and _shown(meta.decode()),
            "hash": [_timed(fields), *map(_timed, tries)],
            "kept for": [
                round(client.ttl(key), -3)
                for key in (hash_of(job_id), f"celery-task-meta-{job_id}")
            ],
            "lines": [
                json.loads(line)[1:] for line in client.lrange(f"{hash_of(job_id)}-log", 0, -1)
            ],
            "seen": [one.decode() for one in client.lrange(f"{SEEN}{job_id}", 0, -1)],
            "runs": client.llen(f"{WAYS}{job_id}"),
            "log": self.log_of(job_id),
            "failed": failed_job(job_id),
        }
        return {key: all_alike(value) for key, value in found.items()}

    def log_of(self, job_id: str) -> list[dict[str, object]]:
        """Return the lines of the worker's log that carry this job's id, or speak of it."""
        lines = [line for line in self.worker.output().splitlines() if line.startswith("{")]
        found = [
            json.loads(line) for line in lines if f'"{job_id}"' in line or f"[{job_id}]" in line
        ]
        for line in found:
            line.pop("timestamp")
        return found

    def counts(self) -> dict[str, dict[str, int]]:
        """Return what the history has counted of each task."""
        found = {}
        for series, tally in History(app).totals().items():
            if series.queue.startswith(self.queue):
                names = ("claimed", "redelivered", "succeeded", "failed", "retried", "cancelled")
                counts = {name: getattr(tally, name) for name in names}
                counts |= {"waits": tally.wait.count, "runs": tally.run.count}
                found[f"{series.task} {alike(series.queue)}"] = counts
        return found

    def ask(self, command: str, *arguments: object, **options: object) -> Any:  # noqa: ANN401 (any reply)
        """Ask the worker, as `celery inspect` does."""
        inspect = app.control.inspect([self.host], timeout=30, limit=1)
        return getattr(inspect, command)(*arguments, **options)[self.host]

    @property
    def host(self) -> str:
        """The worker's name."""
        return f"{self.name}-{self.pool}@{gethostname()}"

    def quarantined(self) -> list[tuple[str, str]]:
        """Return what is in quarantine of its queue: ids and reasons."""
        found = [one for one in quarantine.newest(10_000) if one.queue == self.queue]
        return sorted(
            (alike(str(json.loads(one.message)["headers"]["id"])), alike(one.reason))
            for one in found
        )

    def other_lines(self) -> list[str]:
        """Return the worker's warnings and errors that carry no job's id, in order of text."""
        lines = [line for line in self.worker.output().splitlines() if line.startswith("{")]
        found = [json.loads(line) for line in lines]
        return sorted(
            alike(f"{line['level']} {line['event'].splitlines()[0]}")
            for line in found
            if "job_id" not in line and line["level"] in ("warning", "error", "critical")
        )


def queue_of(way: str, pool: str) -> str:
    """Return the name of a way's queue."""
    return f"{way}-queue-{pool}"


def id_of(way: str, pool: str, name: str) -> str:
    """Return the id of a way's job."""
    return f"{way}-{pool}-{name}"


def hash_of(job_id: str) -> str:
    """Return the key of the job's hash."""
    return f"expresslane-job-{job_id}"


def forget(server: Valkey) -> None:
    """Leave nothing of what the two have done, counts included."""
    failures.clear()
    quarantine.discard_all()
    patterns = (f"{WAYS}*", f"{SEEN}*", "*short-*", "*celerys-*", "expresslane-history-*")
    for pattern in (*patterns, "expresslane-failed-dropped"):
        for key in server.client.scan_iter(pattern):
            server.client.delete(key)


def failed_job(job_id: str) -> object:
    """Return the job as it is kept with the failed ones, if it is."""
    try:
        found = asdict(failures.show(job_id))
    except NoSuchFailedJob:
        return None
    del found["failed_at"]
    message = json.loads(found.pop("message"))
    message["body"] = json.loads(b64decode(message["body"]))
    return {**found, "message": json.dumps(message)}


def _shown(meta: str) -> list[object]:
    """Return Celery's record of a job as it is, but for a traceback, which can be read then."""
    traceback = json.loads(meta)["traceback"]
    return [meta.replace(json.dumps(traceback), "TRACEBACK") if traceback else meta, traceback]


def _timed(fields: dict[str, str]) -> dict[str, str]:
    """Return fields of a job's hash with the word for each time that is a time."""
    times = ("queued", "claimed", "started", "ended")
    return {
        name: "TIME" if name in times and re.fullmatch(r"\d{10}\.\d+", str(value)) else value
        for name, value in fields.items()
    }


@contextmanager
def working(
    server: Valkey,
    directory: Path,
    pool: str,
    name: str,
    env: dict[str, str] | None = None,
    jobs: str = "tests.support.plain_jobs",
    **options: Any,
) -> Iterator[Way]:
    """Start the worker of one way."""
    env = {"LOG_FORMAT": "json", "EVENT_JOBS_MAX": "0", **(env or {})}
    if name == CELERYS:
        env["CELERYS_WAY"] = "1"
    directory.mkdir(exist_ok=True)
    with start_worker(
        directory / f"{name}.log",
        broker_url=server.url,
        queues=queue_of(name, pool),
        pool=pool,
        jobs=jobs,
        env=env,
        **options,
    ) as worker:
        yield Way(name, pool, server, worker)


def wait_until(fact: Callable[[], object], what: str, *ways: Way) -> None:
    """Wait for a fact, as long as the workers live."""

    def check() -> None:
        for way in ways:
            way.worker.check_alive()

    wait_for(fact, what, doing=check)
