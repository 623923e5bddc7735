"""The sides of a comparison: which program speaks for each, and in which environment."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from tests.support.programs import ROOT

VENVS = ROOT / ".bench"
REQUIREMENTS = ROOT / "benchmarks" / "peers" / "requirements"
_NOT_COMPILED = "PYTHONDONTWRITEBYTECODE"


@dataclass(frozen=True)
class Side:
    """One job system, set up in one way."""

    name: str
    module: str
    """Of `benchmarks.peers`."""
    venv: str | None = None
    """The file in `requirements/` that its environment is made from; None for this project's."""

    @property
    def server(self) -> list[str]:
        """The command that serves the protocol."""
        return ["python", "-m", "benchmarks.peers", self.module]

    @property
    def programs(self) -> Path:
        """The folder of the programs that its command lines name."""
        return VENVS / self.venv / "bin" if self.venv else Path(sys.executable).parent

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of its processes: its programs first, this project to import."""
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        # This project is compiled when it is first imported, as what pip has installed is.
        own = {name: text for name, text in os.environ.items() if name != _NOT_COMPILED}
        return {**own, "PATH": path, "PYTHONPATH": str(ROOT), **more}

    def prepare(self) -> str | None:
        """Make what it needs, unless it is there. Return why it cannot be had, or None."""
        if self.venv is None:
            return None
        file = REQUIREMENTS / f"{self.venv}.txt"
        made_from = VENVS / self.venv / "made-from.txt"
        if not made_from.exists() or made_from.read_text() != file.read_text():
            shutil.rmtree(made_from.parent, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", made_from.parent], check=True)  # noqa: S603
            pip = [str(self.programs / "python"), "-m", "pip", "install", "--no-deps", "--quiet"]
            pip += ["--disable-pip-version-check", "--requirement", str(file)]
            subprocess.run(pip, check=True)  # noqa: S603 (its own command)
            made_from.write_text(file.read_text())
        return None

    @cached_property
    def described(self) -> Mapping[str, Any]:
        """What it says of itself: see `peers/protocol.py`."""
        with Producer(self, {}, sys.stderr.fileno()) as producer:
            return producer.ask(do="describe")


class Sidekiq(Side):
    """The one that is not written in Python, and is there if Debian's package is."""

    @property
    def server(self) -> list[str]:
        """The command that serves the protocol."""
        return ["ruby", "benchmarks/peers/sidekiq.rb"]

    def prepare(self) -> str | None:
        """Return why it cannot be had, or None."""
        if shutil.which("sidekiq") and shutil.which("ruby"):
            return None
        return "sidekiq is not installed (apt install ruby-sidekiq)"


EXPRESSLANE = Side("Expresslane", "expresslane")
STOCK = Side("Celery's own transport", "stock")
OWN = (EXPRESSLANE, STOCK)
PEERS = (
    EXPRESSLANE,
    Side("Celery, newcomer", "celery_newcomer", "celery"),
    Side("Celery, best", "celery", "celery"),
    Side("dramatiq", "dramatiq", "dramatiq"),
    Side("huey", "huey", "huey"),
    Side("taskiq", "taskiq", "taskiq"),
    Side("rq", "rq", "rq"),
    Side("arq", "arq", "arq"),
    Sidekiq("Sidekiq", "sidekiq"),
)


class Producer:
    """The process that publishes for a side, and answers one question after the other."""

    def __init__(self, side: Side, env: Mapping[str, str], log: int) -> None:
        self._process = subprocess.Popen(  # noqa: S603 (its own command)
            side.server,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
            env=side.environment(env),
        )

    def ask(self, **question: object) -> Mapping[str, Any]:
        """Ask, and return the answer.

        Raises:
            SystemExit: when the process has ended instead.

        """
        if self._process.stdin is None or self._process.stdout is None:
            raise TypeError("the process was started with pipes")
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self._process.args!r} has ended with {self._process.wait()}")
        found: Mapping[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        """End it: there is nothing more to ask."""
        self._process.communicate(timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
