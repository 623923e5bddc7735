"""What the demo runs, and the configuration with which supervisord runs it.

supervisord starts again what dies, so that one may kill things and watch the orders survive.
"""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

STOP_SECONDS = 20
"""How long a program may take to stop: more than a worker's ten seconds for its running jobs."""


@dataclass(frozen=True)
class Program:
    """One process of the demo."""

    name: str
    command: tuple[str, ...]
    stage: int = 1
    """Stage 0 starts first and stops last: what the others lean on."""


def from_procfile(procfile: Path = ROOT / "Procfile") -> Iterator[Program]:
    """Yield the programs of a Procfile, run by the interpreter that runs this.

    Its lines are `name: command`; `python` and `celery` are those of this environment.
    """
    for line in procfile.read_text().splitlines():
        name, colon, command = line.partition(":")
        if colon and not line.startswith("#"):
            yield Program(name.strip(), tuple(_of_this_environment(shlex.split(command))))


def write_configuration(state_dir: Path, programs: list[Program]) -> Path:
    """Write supervisord's configuration for these programs below `state_dir`; return its path."""
    logs = state_dir / "log"
    logs.mkdir(parents=True, exist_ok=True)
    first = [program for program in programs if program.stage == 0]
    then = [program for program in programs if program.stage > 0]
    sections = [_section("supervisord", _supervisord(state_dir))]
    sections += [_section(f"program:{p.name}", _program(p, logs)) for p in programs]
    # A group stops as one; without it, supervisord would wait for one program after the other.
    for stage, (name, members) in enumerate({"services": first, "demo": then}.items()):
        if members:
            names = ",".join(program.name for program in members)
            sections.append(_section(f"group:{name}", {"programs": names, "priority": stage}))
    path = state_dir / "supervisord.conf"
    path.write_text("\n".join(sections))
    return path


def _supervisord(state_dir: Path) -> dict[str, object]:
    return {
        "nodaemon": "true",
        "silent": "true",
        "logfile": state_dir / "log" / "supervisord.log",
        "pidfile": state_dir / "supervisord.pid",
        "childlogdir": state_dir / "log",
        # supervisord complains when root starts it and nothing says that this is meant.
        **({"user": "root"} if os.geteuid() == 0 else {}),
    }


def _program(program: Program, logs: Path) -> dict[str, object]:
    return {
        "command": shlex.join(program.command),
        "directory": ROOT,
        "stdout_logfile": logs / f"{program.name}.log",
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": 1,
        "redirect_stderr": "true",
        "autorestart": "true",
        "startsecs": 2,
        "startretries": 10,
        "stopwaitsecs": STOP_SECONDS,
        # Whatever a killed program leaves behind goes with it.
        "killasgroup": "true",
    }


def _section(name: str, values: Mapping[str, object]) -> str:
    # supervisord expands % in every value.
    lines = [f"{key}={str(value).replace('%', '%%')}" for key, value in values.items()]
    return "\n".join([f"[{name}]", *lines, ""])


def _of_this_environment(command: list[str]) -> list[str]:
    if command[0] == "python":
        return [sys.executable, *command[1:]]
    if command[0] == "celery":
        return [sys.executable, "-m", *command]
    return command
