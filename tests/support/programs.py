"""Real programs for the tests: started on a free port, waited for, and stopped by their id."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]

GRACE = 20.0
"""Seconds a program gets to stop by itself before its whole group is killed."""


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def accepts_connections(port: int) -> bool:
    """Tell whether somebody listens on this port of the loopback interface."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Program:
    """One process group, with its output in a file."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> None:
        self.argv = list(argv)
        self.log_file = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
                start_new_session=True,
            )

    @classmethod
    def python(
        cls, *args: str, log: Path, env: Mapping[str, str] | None = None, cwd: Path = ROOT
    ) -> Self:
        """Start `python -m ...` with the interpreter that runs the tests."""
        return cls([sys.executable, "-m", *args], log=log, env=env, cwd=cwd)

    @property
    def pid(self) -> int:
        """The id of the process, which is its group's too."""
        return self.process.pid

    def output(self) -> str:
        """Return all that it has printed so far."""
        return self.log_file.read_text(errors="replace")

    def check_alive(self) -> None:
        """Raise `AssertionError`, with the output, if it has ended."""
        code = self.process.poll()
        if code is not None:
            raise AssertionError(f"{self.argv} ended with {code}:\n{self.output()}")

    def wait_until_listening(self, port: int) -> Self:
        """Wait until somebody accepts connections on the port."""
        wait_for(lambda: accepts_connections(port), f"port {port}", doing=self.check_alive)
        return self

    def wait_until_printed(self, text: str) -> Self:
        """Wait until the output holds this text."""
        wait_for(lambda: text in self.output(), f"output {text!r}", doing=self.check_alive)
        return self

    def kill(self, signum: int = signal.SIGKILL) -> None:
        """Send a signal to every process of the group."""
        os.killpg(self.pid, signum)

    def stop(self) -> int:
        """Ask it to end, kill the group if it does not, and return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.wait(GRACE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
