"""The thread that keeps what this process holds, and takes back what the dead have held.

It is a thread of its own because the worker's main loop may be busy for longer than a lease: with
the solo pool it runs the jobs themselves. A process that is stopped as a whole (SIGSTOP, a frozen
virtual machine) stops renewing, which is right: for the others it is dead.
"""

import logging
import os
from collections.abc import Callable
from threading import Event, Thread
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
        self._pid = os.getpid()
        self._thread = Thread(target=self._run, name="lease-keeper", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Tell whether it works in this process: a fork has no threads of its parent."""
        return self._pid == os.getpid() and self._thread.is_alive()

    def wake(self) -> None:
        """Look now: something may be due earlier than the next look."""
        self._woken.set()

    def _run(self) -> None:
        every = min(self._lease / 3, 2.0)
        next_look = monotonic() + every
        until_due = every
        while True:
            self._woken.wait(max(min(next_look - monotonic(), until_due), SHORTEST_WAIT))
            self._woken.clear()
            try:
                if monotonic() >= next_look:
                    next_look = monotonic() + every
                    self._look()
                until_due = self._release_due(every)
            except redis.RedisError as error:
                # The server is away; claims are safe there, and the next look may find it again.
                _logger.warning("leases could not be renewed: %s", error)
            except Exception:
                _logger.exception("the lease keeper met an error, and goes on")

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
        for call in self._holdings.on_renewal:
            call()
        given, others = self._holdings.take_from_the_dead(self._lease)
        if given:
            _logger.warning("took back %d jobs from workers that are gone", given)
        if others:
            self._restore_stock_claims(others)
