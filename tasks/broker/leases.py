"""The thread that keeps what this process holds, and takes back what the dead have held.

It is a thread of its own because the worker's main loop may be busy for longer than a lease: with
the solo pool it runs the jobs themselves. A process that is stopped as a whole (SIGSTOP, a frozen
virtual machine) stops renewing, which is right: for the others it is dead.

It ends by itself when nothing is held any more and nobody consumes, or when it is told to.
"""

import logging
import os
from collections.abc import Callable
from threading import Event, Lock, Thread
from time import monotonic

import redis

from tasks.broker.holdings import Holdings

SHORTEST_WAIT = 0.01
"""Seconds between two looks for what is due, however much is."""

_logger = logging.getLogger("tasks.broker")


class LeaseKeeper:
    """Renews three times in a lease, and looks for dead claims as often, at least every 2 s.

    It also puts delayed messages into their queues when they are due.
    """

    def __init__(
        self,
        holdings: Holdings,
        lease: float,
        restore_stock_claims: Callable[[list[str]], None],
    ) -> None:
        self._holdings = holdings
        self._lease = lease
        self._restore_stock_claims = restore_stock_claims
        self._woken = Event()
        self._is_told_to_stop = False
        self._has_ended = False
        self._ending = Lock()
        self._is_away = False
        self._pid = os.getpid()
        self._thread = Thread(target=self._run, name="lease-keeper", daemon=True)
        self._thread.start()

    def wake(self) -> bool:
        """Look now: something may be due earlier than the next look, or be held anew.

        False: it has ended, or is in another process, as after a fork, which copies no threads.
        """
        if self._pid != os.getpid():
            return False
        with self._ending:
            self._woken.set()
            return not self._has_ended and self._thread.is_alive()

    def stop(self) -> None:
        """Have it end, without waiting for that: the server may be silent for some seconds."""
        self._is_told_to_stop = True
        self._woken.set()

    def join(self, timeout: float) -> bool:
        """Wait until it has ended; False if it has not within so many seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        every = min(self._lease / 3, 2.0)
        next_look = monotonic() + every
        until_due = every
        while not self._ends():
            self._woken.wait(max(min(next_look - monotonic(), until_due), SHORTEST_WAIT))
            self._woken.clear()
            try:
                if monotonic() >= next_look:
                    next_look = monotonic() + every
                    self._look()
                until_due = self._release_due(every)
                self._note_server(None)
            except redis.RedisError as error:
                until_due = every
                self._note_server(error)
            except Exception:
                _logger.exception("the lease keeper met an error, and goes on")

    def _ends(self) -> bool:
        with self._ending:
            # Whoever asks for it from now on is told that it has ended, and starts another one.
            if self._is_told_to_stop or not (self._woken.is_set() or self._holdings.is_in_use):
                self._has_ended = True
            return self._has_ended

    def _note_server(self, error: redis.RedisError | None) -> None:
        """Say once that the server is away, and once that it is back.

        Claims are safe there meanwhile. When it comes back after more than a lease, what is renewed
        first is kept, and what somebody else took back first runs elsewhere.
        """
        if error is not None and not self._is_away:
            _logger.warning("leases are not renewed until the broker is back: %s", error)
        if error is None and self._is_away:
            _logger.warning("the broker is back, and leases are renewed again")
        self._is_away = error is not None

    def _release_due(self, every: float) -> float:
        left = self._holdings.release_due()
        return every if left is None else left

    def _look(self) -> None:
        # First what is held here: a process that was frozen must not take back its own claims.
        for tag in self._holdings.renew():
            _logger.warning(
                "lost the lease of %s: this process was away for too long; its job runs elsewhere "
                "now, and what is still done here will not be recorded",
                tag,
            )
        if given := self._holdings.give_back_loose():
            _logger.warning("gave back %d jobs that were claimed as a connection was cut", given)
        for call in self._holdings.on_renewal:
            call()
        given, others = self._holdings.take_from_the_dead(self._lease)
        if given:
            _logger.warning("took back %d jobs from workers that are gone", given)
        if others:
            self._restore_stock_claims(others)
