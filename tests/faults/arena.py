"""Where the faults happen: a broker that may be killed, a book that is not, and workers."""

import json
import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from celery import Celery

from tasks.states import JobState, from_celery
from tests.faults.bodies import STOCK_TIMEOUT
from tests.faults.ledger import Ledger
from tests.support.programs import GRACE, Program
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

Transport = Literal["ours", "stock"]
Pool = Literal["prefork", "threads", "solo"]
POOLS: tuple[Pool, ...] = ("prefork", "threads", "solo")

APPS = {"ours": "tasks", "stock": "tests.faults.stock"}
LOADS = {"ours": "tests.faults.jobs", "stock": "tests.faults.stock"}

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
"""A server that answers a write only when it is on disk, so that it may be killed as well."""


class Worker(Program):
    """One worker process group, with a name that no other has had."""

    name: str

    @property
    def node(self) -> str:
        """The name that its jobs see."""
        return f"{self.name}@here"

    def children(self) -> list[int]:
        """Return the processes of its pool."""
        with suppress(FileNotFoundError):
            found = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
            return [int(pid) for pid in found.split()]
        return []

    def signal_group(self, signum: int) -> None:
        """Send a signal to whatever is left of the group, its leader alive or not."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signum)

    def stop(self) -> int:
        """Kill it, frozen or not, and whoever is left of its group."""
        self.signal_group(signal.SIGKILL)
        return self.process.wait(GRACE)


class Arena(ExitStack):
    """Two servers and the workers that were started on them; all end with the arena."""

    def __init__(
        self, directory: Path, *, lease: float = 2, transport: Transport = "ours", **env: str
    ) -> None:
        super().__init__()
        self.directory = directory
        self.transport: Transport = transport
        self.lease = lease
        self.workers: list[Worker] = []
        (directory / "book").mkdir()
        book = self.enter_context(Valkey(directory / "book"))
        self.broker = Valkey(directory, options=DURABLE)
        self.callback(self._stop_broker)
        self.ledger = Ledger(book.client)
        self.env = {
            "BROKER_URL": self.broker.url,
            "BOOK_URL": book.url,
            "STATE_DIR": str(directory),
            "LEASE": str(lease),
            **env,
        }

    def worker(
        self,
        pool: Pool,
        *,
        queues: str = "default",
        concurrency: int = 2,
        wait: bool = True,
        prefetch: int = 1,
    ) -> Worker:
        """Start a worker; wait until it is ready, unless told otherwise."""
        name = f"w{len(self.workers)}"
        argv = ["celery", "-A", APPS[self.transport], "worker", "-I", LOADS[self.transport]]
        argv += ["-Q", queues, "--pool", pool, "--concurrency", str(concurrency)]
        argv += ["--prefetch-multiplier", str(prefetch)]
        # Meeting the other workers takes each start a second, and has no part in what is tested.
        argv += ["-n", f"{name}@here", "--loglevel", "INFO", "--without-mingle"]
        worker = Worker.python(*argv, log=self.directory / f"{name}.log", env=self.env)
        worker.name = name
        self.workers.append(worker)
        self.callback(worker.stop)
        if wait:
            worker.wait_until_printed(" ready.")
        return worker

    def producer(self, first: int) -> Program:
        """Start the producer of the load, whose first job has this number."""
        argv = ["tests.faults.producer", LOADS[self.transport], str(first)]
        return Program.python(*argv, log=self.directory / "producer.log", env=self.env)

    @cached_property
    def client(self) -> Celery:
        """An app that sends jobs from this process."""
        app = Celery("arena", set_as_current=False)
        app.config_from_object("celeryconfig")
        backend = f"tasks.results:ResultBackend+{self.broker.url}"
        app.conf.update(broker_url=self.broker.url, result_backend=backend)
        self.callback(app.close)
        return app

    def send(
        self,
        name: str,
        *,
        queue: str = "default",
        countdown: float | None = None,
        expires: float | None = None,
        **data: object,
    ) -> str:
        """Schedule a job and return its id."""
        sent = self.client.send_task(
            name, kwargs=data, queue=queue, countdown=countdown, expires=expires
        )
        return str(sent.id)

    def restart_broker(self) -> None:
        """Kill the broker and start it again on what it has on disk."""
        self.broker.kill()
        self.broker.stop()
        self.broker = Valkey(self.directory, port=self.broker.port, options=DURABLE)

    def cut_connections(self) -> None:
        """Cut every connection to the broker but the one that tells it to."""
        for kind in ("normal", "pubsub"):
            self.broker.client.client_kill_filter(_type=kind, skipme=True)

    def queued(self, queue: str = "default") -> int:
        """Return how many messages wait."""
        return int(self.broker.client.llen(queue))

    def unacked(self) -> int:
        """Return how many messages are claimed."""
        return int(self.broker.client.hlen("unacked"))

    @property
    def until_given_back(self) -> float:
        """Seconds after which a worker that shows no life loses what it holds."""
        return self.lease if self.transport == "ours" else STOCK_TIMEOUT

    def states(self, job_ids: Sequence[str]) -> list[JobState]:
        """Return the states of many jobs."""
        keys = [f"celery-task-meta-{job_id}" for job_id in job_ids]
        stored = self.broker.client.mget(keys) if keys else []
        return [from_celery(json.loads(s)["status"]) if s else JobState.UNKNOWN for s in stored]

    def meta(self, job_id: str) -> dict[str, Any]:
        """Return what the result backend has of the job, as Celery stores it."""
        found = self.broker.client.get(f"celery-task-meta-{job_id}")
        return dict(json.loads(found)) if found else {}

    def state(self, job_id: str) -> JobState:
        """Return the job's state."""
        return self.states([job_id])[0]

    def wait_for_state(self, job_id: str, state: JobState) -> None:
        """Wait until the job is in this state."""
        wait_for(lambda: self.state(job_id) is state, f"{job_id} to be {state}")

    def _stop_broker(self) -> None:
        """Stop the one that there is at the end."""
        self.broker.stop()
