"""pytest-celery's clusters over processes of this machine, where its own are Docker containers.

A node of pytest-celery asks its container for little: its name, its log, to be killed, to be
started again. `LocalContainer` gives that for a process.
"""

import signal
from collections.abc import Callable
from pathlib import Path

import celery

from tests.support.programs import Program
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker


class LocalContainer:
    """A process where pytest-celery expects a container."""

    def __init__(self, start: Callable[[], Program]) -> None:
        self._start = start
        self.process = start()

    @property
    def id(self) -> str:
        """What Docker would call the container's id."""
        return f"{self.process.pid:012d}"

    @property
    def name(self) -> str:
        """What the node calls itself."""
        return f"{type(self).__name__}-{self.id}"

    @property
    def status(self) -> str:
        """`running` or `exited`, as Docker says."""
        return "running" if self.process.process.poll() is None else "exited"

    def logs(self) -> str:
        """Return all that the process has printed, in all its lives."""
        return self.process.output()

    def ready(self) -> bool:
        """Tell whether it runs; starting one waits until it is ready."""
        return self.status == "running"

    def reload(self) -> None:
        """Do nothing: a process knows its own state."""

    def kill(self, signal: str | int) -> None:
        """Send the signal as Docker does: SIGKILL to all, any other to the first process."""
        number = _signal_number(signal)
        if number == _signal_number("SIGKILL"):
            self.process.kill(number)
        else:
            self.process.process.send_signal(number)
        wait_for(lambda: self.status == "exited", f"the end of {self.name}")

    def restart(self, timeout: float) -> None:  # noqa: ARG002 (starting has a limit of its own)
        """Stop it if it runs, and start it again."""
        self.process.stop()
        self.process = self._start()

    def teardown(self) -> None:
        """Stop it for good."""
        self.process.stop()


class LocalServer(LocalContainer):
    """A Valkey server as broker or result backend."""

    process: Valkey

    @property
    def celeryconfig(self) -> dict[str, str]:
        """The addresses that pytest-celery puts into the app's configuration."""
        return {"url": self.process.url, "host_url": self.process.url, "vhost": "0"}


class LocalWorker(LocalContainer):
    """A `celery -A tasks worker`."""

    def __init__(self, log: Path, broker_url: str) -> None:
        self.prompt = f"{log.stem}-prefork@"
        super().__init__(lambda: start_worker(log, broker_url=broker_url))

    def version(self) -> str:
        """The version of Celery that it runs."""
        return celery.__version__

    def log_level(self) -> str:
        """How much it logs."""
        return "INFO"

    def worker_name(self) -> str:
        """What stands before the @ in its name."""
        return self.prompt.rstrip("@")

    def worker_queue(self) -> str:
        """The queue that it works on."""
        return "default"


def _signal_number(name: str | int) -> int:
    return signal.Signals[name].value if isinstance(name, str) else name
