"""A real PostgreSQL server of the test's own, from Debian's binaries, as an unprivileged user."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tests.support.programs import Program, free_port
from tests.support.requirements import require_programs
from tests.support.waiting import wait_for

_USER = "postgres"
"""Whom Debian's package makes. The server refuses to run as root."""


class Postgres(Program):
    """A server on a free port of loopback, whose data go when it is stopped."""

    def __init__(self, options: tuple[str, ...] = ()) -> None:
        binaries = _binaries()
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="expresslane-postgres-"))
        if os.geteuid() == 0:
            user = pwd.getpwnam(_USER)
            os.chown(self.directory, user.pw_uid, user.pw_gid)
        data = self.directory / "data"
        initdb = [f"{binaries}/initdb", "-D", str(data), "-U", "expresslane", "-A", "trust"]
        subprocess.run(
            [*_as_user(), *initdb, "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=self.directory,
        )
        where = ["-D", str(data), "-p", str(self.port), "-k", str(self.directory)]
        super().__init__(
            [
                *(*_as_user(), f"{binaries}/postgres", *where),
                *("-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", *options),
            ],
            log=self.directory / "postgres.log",
            cwd=self.directory,
        )
        self.url = f"postgresql+psycopg://expresslane@127.0.0.1:{self.port}/postgres"
        wait_for(self._answers, "PostgreSQL to answer", doing=self.check_alive)

    def make_database(self, name: str) -> str:
        """Make another database, and return its address."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return f"postgresql+psycopg://expresslane@127.0.0.1:{self.port}/{name}"

    @property
    def _dsn(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=expresslane dbname=postgres"

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self._dsn, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def stop(self) -> int:
        """End the server, its clients' sessions too, and remove its data."""
        if self.process.poll() is None:
            # PostgreSQL's "fast" shutdown; SIGTERM would wait for clients to leave.
            self.process.send_signal(signal.SIGINT)
        code = super().stop()
        shutil.rmtree(self.directory, ignore_errors=True)
        return code


def _binaries() -> str:
    """Return the folder of the newest server that Debian has installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        require_programs("postgres", package="postgresql")
    return str(found[-1].parent)


def _as_user() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"]
