"""What this process has claimed from a server and not yet acknowledged.

Holdings belong to the process, not to a connection: a job that runs while the connection is cut
keeps its claim, and is acknowledged over the next connection.
"""

import json
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from uuid import uuid4
from weakref import WeakSet

import redis

from tasks.broker import scripts
from tasks.broker.claims import BrokenQueue, Claim, Sources
from tasks.broker.wire import Text, Wire, Words

_logger = logging.getLogger("tasks.broker")

OWN_TAGS = "lane-"
"""How the delivery tags begin that are given here, and those of stock workers do not."""

LOOKS = 3
"""How often a claim whose answer never came is looked for. It may lie in a socket of the server's,
which reads it in its next turn; looks are a third of a lease apart, or 2 s."""

_CLAIM, _ACKNOWLEDGE = Text(scripts.CLAIM), Text(scripts.ACKNOWLEDGE)

FLUSH_AT = 64
"""Acknowledgements that are collected before they are sent without waiting for the next claim."""


@dataclass(frozen=True)
class Keys:
    """The names of the keys, kombu's and our own, all with the global prefix before them."""

    prefix: str
    unacked: str
    index: str
    deaths: str
    delayed: str
    delayed_messages: str
    paused: str
    quarantine: str
    separator: str
    """What stands between a queue's name and a priority in the name of a list."""


@dataclass
class Loose:
    """Tags that may stand on record for us, and that nobody works on."""

    tags: list[str]
    looks: int = 0


class Holdings:
    """The claims of this process on one server. Safe to use from several threads."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.client = client
        self.keys = keys
        self.pid = os.getpid()
        self.tags: dict[str, bytes | None] = {}
        """Delivery tag of each claim; the message too where earlier claims of it have died."""
        self.last_look = monotonic()
        """When the main loop of this process last looked for messages, or would have."""
        self.on_renewal: list[Callable[[], None]] = []
        """What the lease keeper calls after each renewal."""
        self.before_acknowledging: Callable[[], object] = lambda: None
        """Called before acknowledgements are sent. What it raises keeps them from being sent."""
        self.consumers: WeakSet[object] = WeakSet()
        """The channels that consume and put what they get in here."""
        self._started: set[str] = set()
        self._starting = Lock()
        """Held while it is decided whether a claim starts or goes back."""
        self.is_stopping = False
        """Whether the worker was told to stop."""
        self._acknowledged: deque[str] = deque()
        self._loose: list[Loose] = []
        self._prefix = f"{OWN_TAGS}{uuid4().hex}."
        self._number = 0
        self._lock = Lock()
        """Held while the wire is used."""
        self._wire = Wire(client.connection_pool)
        self._keys_to_claim = Words.of([*self._claim_keys(), keys.paused])
        script = client.register_script
        self._give_back = script(scripts.GIVE_BACK)
        self._renew = script(scripts.RENEW)
        self._take_from_the_dead = script(scripts.TAKE_FROM_THE_DEAD)
        self._delay = script(scripts.DELAY)
        self._release_due = script(scripts.RELEASE_DUE)
        self._start_suspect = script(scripts.START_SUSPECT)
        self._forget_deaths = script(scripts.FORGET_DEATHS)
        self._quarantine = script(scripts.QUARANTINE)

    @property
    def is_in_use(self) -> bool:
        """Tell whether anything is held, or anybody consumes or wants to be called."""
        return bool(self.tags or self._loose or self.on_renewal or len(self.consumers))

    def claim(self, sources: Sources, most: int) -> list[Claim | BrokenQueue]:
        """Take up to `most` messages off the lists, the first list first, and hold them.

        What was acknowledged since the last call goes along in the same step.
        """
        return self.ask(sources, most).take()

    def ask(self, sources: Sources, most: int) -> "Asked":
        """Begin to do as `claim`; what it returns is to be taken next, by the same thread."""
        self._lock.acquire()
        try:
            finished = self._collected()
            asked = Asked(self, sources, most, finished, self._number)
            # Before it is sent: if its answer is lost, its tags are taken all the same. A later
            # claim under one of them would overwrite what the first has put on record.
            self._number += most
            try:
                self._wire.ask(_CLAIM, *self._words_of(asked))
            except redis.RedisError as error:
                self._is_lost(asked, error)
                raise
        except BaseException:
            self._lock.release()
            raise
        return asked

    def take(self, asked: "Asked") -> list[Claim | BrokenQueue]:
        """Wait for the answer, and hold what was claimed."""
        try:
            answer = self._wire.answer()
        except redis.RedisError as error:
            self._is_lost(asked, error)
            raise
        finally:
            self._lock.release()
        found = [asked.sources.read(row) for row in answer]
        for claim in found:
            if isinstance(claim, Claim):
                self.tags[claim.tag] = claim.message if claim.deaths else None
        return found

    def give_back_loose(self) -> int:
        """Put back what could not be, or was claimed without our knowing; return how many messages.

        Else they would wait for their lease to end, and be counted as the deaths of a worker.
        """
        given = 0
        for loose in list(self._loose):
            given += self._put_back(loose.tags)
            loose.looks += 1
            if loose.looks >= LOOKS:
                self._loose.remove(loose)
        return given

    def start(self, tag: str) -> bool:
        """Note that the job of this claim starts now; from here on it is not given back.

        False: the claim has gone back or was lost meanwhile, and the job must not start here.
        """
        with self._starting:
            if tag not in self.tags:
                return False
            self._started.add(tag)
        return self.tags.get(tag) is None or self._start_as_suspect(tag)

    def is_started(self, tag: str) -> bool:
        """Tell whether the job of this claim has started."""
        return tag in self._started

    def count(self) -> tuple[int, int]:
        """Return how many claims are held, and of how many of them the job has started."""
        return len(self.tags), len(self._started)

    @property
    def has_finished(self) -> bool:
        """Tell whether there are acknowledgements to be sent."""
        return bool(self._acknowledged)

    def acknowledge(self, tag: str) -> None:
        """Be done with the claim. It is sent with the next claim or the next `flush`."""
        message = self._drop(tag)
        if message is not None:
            self._forget_deaths([self.keys.deaths], [tag, message])
        self._acknowledged.append(tag)
        if self.is_stopping or len(self._acknowledged) >= FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Send what was acknowledged."""
        with self._lock:
            finished = self._collected()
            if finished:
                try:
                    self._wire.run(_ACKNOWLEDGE, [self.keys.unacked, self.keys.index], finished)
                except redis.RedisError:
                    self._acknowledged.extendleft(reversed(finished))
                    raise

    def give_back(self, tags: Iterable[str], *, died: bool = False, to_end: bool = False) -> int:
        """Put claims back into their queues, and return how many were still held.

        Args:
            tags: the claims.
            died: whether a worker process ended over them, which counts towards the limit.
            to_end: behind what waits already, rather than before it.

        """
        known = [tag for tag in tags if tag.startswith(OWN_TAGS)]
        for tag in known:
            self._drop(tag)
        if not known:
            return 0
        try:
            return self._put_back(known, died=died, to_end=to_end)
        except redis.RedisError:
            if not died:
                self._loose.append(Loose(known))
            raise

    def give_back_waiting(self, tags: Iterable[str] | None = None) -> int:
        """Put back those of the claims (by default, of all) whose job has not started.

        It cannot start any more then: `start` answers False.
        """
        with self._starting:
            asked = list(self.tags) if tags is None else tags
            waiting = [tag for tag in asked if not self.is_started(tag)]
            for tag in waiting:
                self._drop(tag)
        return self.give_back(waiting)

    def stop(self) -> int:
        """Put back every claim whose job has not started: the worker stops.

        From now on acknowledgements are sent at once. Jobs that end while the worker stops are
        acknowledged when its loop closes, which takes no further turn to send them in.
        """
        self.is_stopping = True
        return self.give_back_waiting()

    def renew(self) -> list[str]:
        """Renew the lease of all that is held; return the tags that are held no more."""
        tags = list(self.tags)
        if not tags:
            return []
        lost = [tag.decode() for tag in self._renew([self.keys.index], tags)]
        # A tag that was acknowledged in this very moment is not lost.
        return [tag for tag in lost if self.tags.pop(tag, self) is not self]

    def take_from_the_dead(self, lease: float, most: int = 100) -> tuple[int, list[str]]:
        """Put back what nobody has renewed for `lease` seconds.

        Returns how many went back, and the tags of stock workers' claims that are as old: those are
        not renewed by anybody, and have a longer time.
        """
        arguments: list[str | float] = [
            lease,
            OWN_TAGS,
            most,
            self.keys.prefix,
            self.keys.separator,
        ]
        given, others = self._take_from_the_dead(self._claim_keys(), arguments)
        return int(given), [tag.decode() for tag in others]

    def delay(self, tag: str, due: float) -> bool:
        """Put the message of this claim aside until it is due, in seconds since 1970.

        Nobody holds it until then, so any number may wait. False: the claim was lost.
        """
        self._drop(tag)
        keys = [self.keys.unacked, self.keys.index, self.keys.delayed, self.keys.delayed_messages]
        return bool(self._delay(keys, [tag, due]))

    def release_due(self, most: int = 100) -> float | None:
        """Put what is due into its queue; return the seconds until the next, None if none waits."""
        keys = [self.keys.delayed, self.keys.delayed_messages]
        left = self._release_due(keys, [most, self.keys.prefix, self.keys.separator])
        return float(left) if left else None

    def quarantine(self, tag: str, about: dict[str, object], most: int) -> bool:
        """Keep the message of this claim aside, with what is known of it; False: it was lost."""
        self._drop(tag)
        keys = [*self._claim_keys(), self.keys.quarantine]
        return bool(self._quarantine(keys, [tag, json.dumps(about), most]))

    def _put_back(self, tags: list[str], *, died: bool = False, to_end: bool = False) -> int:
        arguments: list[str | int] = [
            "LPUSH" if to_end else "RPUSH",
            *(self.keys.prefix, self.keys.separator, scripts.SURELY if died else ""),
            *tags,
        ]
        return int(self._give_back(self._claim_keys(), arguments))

    def _start_as_suspect(self, tag: str) -> bool:
        """Write down that a job starts that workers have died over; False: the claim was lost."""
        try:
            held = self._start_suspect([self.keys.unacked, self.keys.deaths], [tag])
        except redis.RedisError as error:
            # It may run: the server being away is no reason to hold it back, or to lose the claim.
            _logger.warning("if the worker dies over %s, that will not be counted: %s", tag, error)
            return True
        if not held:
            self._drop(tag)
        return bool(held)

    def _drop(self, tag: str) -> bytes | None:
        self._started.discard(tag)
        return self.tags.pop(tag, None)

    def _collected(self) -> list[str]:
        """Take what was acknowledged, and have what goes before it done."""
        found: list[str] = []
        while self._acknowledged:
            found.append(self._acknowledged.popleft())
        if not found:
            return found
        try:
            self.before_acknowledging()
        except BaseException:
            self._acknowledged.extendleft(reversed(found))
            raise
        return found

    def _words_of(self, asked: "Asked") -> tuple[Words, Words]:
        finished = asked.finished
        head = Words.of([asked.most, self._prefix, asked.first, len(finished), *finished])
        sources = asked.sources
        return Words.together([self._keys_to_claim, sources.keys]), Words.together(
            [head, sources.names]
        )

    def _is_lost(self, asked: "Asked", error: redis.RedisError) -> None:
        """Note that a claim was not answered, or refused."""
        self._acknowledged.extendleft(reversed(asked.finished))
        if not isinstance(error, redis.ResponseError):
            numbers = range(asked.first + 1, asked.first + asked.most + 1)
            priorities = asked.sources.priorities
            tags = [f"{self._prefix}{n}.{priority}" for n in numbers for priority in priorities]
            self._loose.append(Loose(tags))

    def _claim_keys(self) -> list[str]:
        return [self.keys.unacked, self.keys.index, self.keys.deaths]


@dataclass(frozen=True)
class Asked:
    """A claim that was sent, and whose answer is to come."""

    holdings: Holdings
    sources: Sources
    most: int
    finished: list[str]
    """The acknowledgements that went along."""
    first: int
    """The number before that of its first tag."""

    def take(self) -> list[Claim | BrokenQueue]:
        """Wait for the answer, hold what was claimed, and return it."""
        return self.holdings.take(self)

    def put_back(self) -> None:
        """Wait for the answer, and put back what was claimed."""
        found = self.take()
        self.holdings.give_back([claim.tag for claim in found if isinstance(claim, Claim)])
