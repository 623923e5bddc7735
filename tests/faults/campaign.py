"""One campaign: a load, three workers, faults at moments that a seed decides; then the count."""

import random
import time
from collections.abc import Callable, Sequence

from tests.faults.arena import Arena, Pool, Worker
from tests.faults.bodies import STOP
from tests.faults.faults import FAULTS
from tests.faults.figures import Figures
from tests.faults.ledger import Event
from tests.support.programs import Program
from tests.support.waiting import wait_for

WORKERS = 3
QUIET_LOOKS = 30
"""How often nothing may be queued or claimed, a tenth of a second apart, to be the end."""


def plan_of(chance: random.Random, **counts: int) -> list[str]:
    """Return so many of each fault (`kill_group=3`), in an order of chance."""
    plan = [name.replace("_", " ") for name, count in counts.items() for _ in range(count)]
    chance.shuffle(plan)
    return plan


class Campaign:
    """Commits faults against workers of one pool."""

    def __init__(
        self,
        arena: Arena,
        pool: Pool,
        chance: random.Random,
        *,
        workers: int = WORKERS,
        tell: Callable[[Figures], object] = lambda _: None,
    ) -> None:
        self.arena = arena
        self.pool: Pool = pool
        self.chance = chance
        self.figures = Figures()
        self.crew = [self.hire() for _ in range(workers)]
        self._killed: list[tuple[float, Event]] = []
        self._bouts = 0
        self._tell = tell

    def run(self, plan: Sequence[str]) -> Figures:
        """Commit each fault of the plan under load, let everything drain, and count.

        It may be called again, to go on with the same workers.
        """
        self._bouts += 1
        self.arena.ledger.client.delete(STOP)
        with self.arena.producer(self._bouts * 1_000_000) as producer:
            for name in plan:
                self.commit(name, producer)
            self.drain(producer)
        self.figures.count(self.arena, self._killed)
        return self.figures

    def commit(self, name: str, producer: Program) -> None:
        """Wait for workers under load, then for a moment of chance, and do it to one of them."""
        producer.check_alive()
        victim = self.chance.choice(wait_for(self.workers_under_load, "a load", every=0.01))
        time.sleep(self.chance.uniform(0, 0.3))  # the moment is what chance decides
        FAULTS[name](self, victim)
        self.figures.faults[name] += 1
        self.figures.look(self.arena)
        self._tell(self.figures)

    def workers_under_load(self) -> list[Worker]:
        """Return the workers that run jobs, if two do: one is the victim, the other takes over."""
        self.arena.ledger.read()
        busy = [w for w in self.crew if self.arena.ledger.running(w.node)]
        return busy if len(busy) > 1 else []

    def hire(self) -> Worker:
        """Start another worker, while the others work."""
        return self.arena.worker(self.pool, wait=False)

    def replace(self, worker: Worker) -> None:
        """Note what a worker ran when it was killed, and start another in its place."""
        at = time.time()
        self._killed += [(at, held) for held in self.arena.ledger.read().running(worker.node)]
        self.crew[self.crew.index(worker)] = self.hire()

    def drain(self, producer: Program) -> None:
        """Stop the load, and wait until all is executed or nothing is left that could be."""
        self.arena.ledger.client.set(STOP, 1)
        wait_for(lambda: producer.process.poll() is not None, "the producer's end")
        quiet = 0

        def is_drained() -> bool:
            nonlocal quiet
            ledger = self.arena.ledger.read()
            left = self.arena.queued() + self.arena.unacked()
            quiet = 0 if left else quiet + 1
            return quiet >= QUIET_LOOKS or (not left and set(ledger.accepted) <= set(ledger.ends))

        wait_for(is_drained, "an empty queue", every=0.1, patience=90)
