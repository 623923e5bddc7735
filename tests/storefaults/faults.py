"""What is done to the parts of the store. Each returns when the fault is healed."""

import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import redis

from tests.storefaults.world import Part, World
from tests.support.waiting import wait_for

Fault = Callable[[World, random.Random], None]

LONGEST = 3.0
"""Seconds that something is away, at most: longer than a job waits for it."""


def web_between(world: World, chance: random.Random) -> None:
    """Kill a web process between an order's commit and the publishing of its jobs."""
    world.arm.write_text(chance.choice(["committed", "answered"]))
    wait_for(lambda: not world.arm.exists(), "an order that a web process died over", every=0.01)


def web_anytime(world: World, chance: random.Random) -> None:
    """Kill a web process, whatever it does."""
    for pid in chance.choice(world.webs).children():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def producer_machine(world: World, chance: random.Random) -> None:
    """Kill a web server with all that belongs to it, and a relay beside it."""
    victims = [chance.choice(world.webs), chance.choice(world.relays)]
    for victim in victims:
        victim.signal(signal.SIGKILL)
    _away(chance)
    for victim in victims:
        victim.kill()
        victim.restart()


def worker_kill(world: World, chance: random.Random) -> None:
    """Kill a whole worker."""
    _kill(chance.choice(world.workers))


def worker_child(world: World, chance: random.Random) -> None:
    """Kill one process of a worker's pool."""
    children = chance.choice(world.workers).children()
    if children:
        with suppress(ProcessLookupError):
            os.kill(chance.choice(children), signal.SIGKILL)


def worker_freeze(world: World, chance: random.Random) -> None:
    """Freeze a worker past its lease."""
    with _frozen(chance.choice(world.workers)):
        time.sleep(world.lease + 1)  # the length of the fault


def relay_kill(world: World, chance: random.Random) -> None:
    """Kill a relay."""
    _kill(chance.choice(world.relays))


def relay_freeze(world: World, chance: random.Random) -> None:
    """Freeze a relay, then let it go on as if nothing had been."""
    with _frozen(chance.choice(world.relays)):
        _away(chance)


def erp_kill(world: World, chance: random.Random) -> None:
    """Kill the ERP service."""
    _kill(world.erp, chance)
    world.wait_until_listening(world.erp)


def erp_freeze(world: World, chance: random.Random) -> None:
    """Freeze the ERP service."""
    with _frozen(world.erp):
        _away(chance)


def mail_kill(world: World, chance: random.Random) -> None:
    """Kill the mail server."""
    _kill(world.mail, chance)
    world.wait_until_listening(world.mail)


def mail_freeze(world: World, chance: random.Random) -> None:
    """Freeze the mail server."""
    with _frozen(world.mail):
        _away(chance)


def broker_kill(world: World, chance: random.Random) -> None:
    """Kill the broker, which has nothing on disk, and start it again, empty."""
    _kill(world.broker, chance)
    _wait_for_broker(world)


def broker_freeze(world: World, chance: random.Random) -> None:
    """Freeze the broker."""
    with _frozen(world.broker):
        _away(chance)


def broker_flush(world: World, chance: random.Random) -> None:  # noqa: ARG001 (one signature)
    """Have the broker forget everything."""
    world.client.flushall()


def broker_full(world: World, chance: random.Random) -> None:
    """Fill the broker: it refuses what needs memory, always or at the edge."""
    used = int(world.client.info("memory")["used_memory"])
    with _memory(world, chance.choice([1, used, used + 20_000]), "noeviction"):
        _away(chance)


def broker_evicts(world: World, chance: random.Random) -> None:
    """Have the broker throw away what was used the longest time ago, or nearly all there is."""
    facts = world.client.info("memory")
    some = int(facts["used_memory"]) - int(facts["used_memory_dataset"]) // 2
    with _memory(world, chance.choice([1, some]), "allkeys-lru"):
        _away(chance)


def broker_forgets_one(world: World, chance: random.Random) -> None:
    """Have the broker evict one of the keys that all depends on, and little else."""
    world.client.delete(chance.choice(["unacked", "unacked_index", "default", "delayed"]))
    # What has a time to live goes as well, and the server's count of evicted keys grows.
    with _memory(world, 1, "volatile-lru"), suppress(redis.ResponseError):
        world.client.set("one-more", "x", ex=60)


def database_away(world: World, chance: random.Random) -> None:
    """Restart PostgreSQL; with SQLite, keep the file locked."""
    if world.postgres:
        world.restart_postgres(chance)
        return
    connection = sqlite3.connect(world.directory / "store.db", timeout=30, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        _away(chance, 2 * LONGEST)
    finally:
        connection.close()


def database_freezes(world: World, chance: random.Random) -> None:
    """Freeze PostgreSQL; with SQLite, keep the file locked."""
    if not world.postgres:
        database_away(world, chance)
        return
    world.signal_postgres(signal.SIGSTOP)
    try:
        _away(chance)
    finally:
        world.signal_postgres(signal.SIGCONT)


FAULTS: dict[str, Fault] = {
    "web between commit and publish": web_between,
    "web at any moment": web_anytime,
    "producer's machine": producer_machine,
    "worker killed": worker_kill,
    "worker's child killed": worker_child,
    "worker frozen": worker_freeze,
    "relay killed": relay_kill,
    "relay frozen": relay_freeze,
    "ERP killed": erp_kill,
    "ERP frozen": erp_freeze,
    "mail killed": mail_kill,
    "mail frozen": mail_freeze,
    "broker killed": broker_kill,
    "broker frozen": broker_freeze,
    "FLUSHALL": broker_flush,
    "broker full": broker_full,
    "broker evicts": broker_evicts,
    "broker evicts one key": broker_forgets_one,
    "database away": database_away,
    "database frozen": database_freezes,
}


def _kill(part: Part, chance: random.Random | None = None) -> None:
    part.kill()
    if chance is not None:
        _away(chance)
    part.restart()


@contextmanager
def _frozen(part: Part) -> Iterator[None]:
    part.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        part.signal(signal.SIGCONT)


@contextmanager
def _memory(world: World, most: int, policy: str) -> Iterator[None]:
    world.client.config_set("maxmemory-policy", policy)
    world.client.config_set("maxmemory", most)
    try:
        yield
    finally:
        world.client.config_set("maxmemory", 0)
        world.client.config_set("maxmemory-policy", "noeviction")


def _away(chance: random.Random, longest: float = LONGEST) -> None:
    time.sleep(chance.uniform(0.2, longest))  # the length of the fault


def _wait_for_broker(world: World) -> None:
    def answers() -> bool:
        try:
            return bool(world.client.ping())
        except redis.RedisError:
            return False

    wait_for(answers, "the broker again", doing=world.broker.program.check_alive)
