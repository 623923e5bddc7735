"""One campaign: customers who order all the time, faults at moments of chance; then the count."""

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from tests.storefaults.audit import Figures, count, failed, unfinished
from tests.storefaults.customers import Customers
from tests.storefaults.faults import FAULTS
from tests.storefaults.world import Part, World
from tests.support.programs import Program
from tests.support.waiting import wait_for

PATIENCE = 120.0
"""Seconds until what is not done is called lost: many times what anything takes."""

MOST_ODD = 20
"""Things that nobody expects, before the campaign is given up."""

QUIET_LOOKS = 30
"""How often, a tenth of a second apart, the broker must hold nothing to be called empty."""

Tell = Callable[[Figures], object]


class Campaign:
    """Commits faults against the store, with customers in it."""

    def __init__(
        self,
        world: World,
        chance: random.Random,
        *,
        customers: int = 3,
        pause: float = 0.8,
        tell: Tell = lambda _: None,
    ) -> None:
        self.world = world
        self.chance = chance
        self.figures = Figures()
        self._customers = customers
        self._pause = pause
        self._tell = tell

    def run(self, plan: Sequence[str]) -> Figures:
        """Commit each fault of the plan under load; wait until all is done, and count."""
        shop = Customers(
            self.world.web_ports, self.chance, number=self._customers, pause=self._pause
        )
        with shop:
            wait_for(lambda: len(shop.answered) >= self._customers, "the first orders")
            for name in plan:
                self._commit(name)
                self.figures.orders = len(shop.answered)
                self._tell(self.figures)
            shop.go_home()
        self.world.wait_until_up()
        self._finish()
        figures = self.figures
        figures.refused, figures.cut_off = shop.refused, shop.cut_off
        figures.odd = [*shop.unexpected, *(f"two orders for {key}" for key in shop.other_order)]
        count(self.world, figures, shop.answered)
        return figures

    def _commit(self, name: str) -> None:
        time.sleep(self.chance.uniform(0, 0.5))  # the moment is what chance decides
        FAULTS[name](self.world, self.chance)
        self.figures.faults[name] += 1
        if self.world.way == "outbox":
            healed = time.monotonic()
            if self._wait_until_done(datetime.now(UTC)):
                self.figures.recoveries.append((round(time.monotonic() - healed, 1), name))

    def _wait_until_done(self, before: datetime | None = None) -> bool:
        """Wait until what was enqueued by then is finished; False: somebody has to find out why."""
        end = time.monotonic() + PATIENCE
        while unfinished(self.world, before):
            self._revive()
            if time.monotonic() > end:
                self.figures.odd.append(
                    f"not done {PATIENCE:g} s after {dict(self.figures.faults)}"
                )
                return False
            time.sleep(0.1)
        return True

    def _revive(self) -> None:
        """Start again what has ended by itself, as any supervisor would; it is noted."""
        for part in self.world.parts():
            if part.program.process.poll() is not None:
                self.figures.odd.append(f"{part.name} ended: {_last_lines(part)}")
                part.restart()
                if len(self.figures.odd) > MOST_ODD:
                    raise AssertionError("\n".join(self.figures.odd))

    def _finish(self) -> None:
        if self.world.way == "delay":
            self._wait_until_empty()
            return
        self._wait_until_done()
        for job_id in failed(self.world):
            self.figures.given_up += 1
            self._run_anew(job_id)
        self._wait_until_done()

    def _run_anew(self, job_id: str) -> None:
        program: Program = self.world.command("outbox", "publish-again", "--yes", job_id)
        wait_for(lambda: program.process.poll() is not None, "the command's end")

    def _wait_until_empty(self) -> None:
        quiet = 0

        def is_quiet() -> bool:
            nonlocal quiet
            client = self.world.client
            left = client.llen("default") + client.hlen("unacked") + client.zcard("delayed")
            quiet = 0 if left else quiet + 1
            return quiet >= QUIET_LOOKS

        wait_for(is_quiet, "an empty broker", every=0.1, patience=PATIENCE)


def plan_of(chance: random.Random, counts: dict[str, int]) -> list[str]:
    """Return so many of each fault, in an order of chance."""
    plan = [name for name, number in counts.items() for _ in range(number)]
    chance.shuffle(plan)
    return plan


def _last_lines(part: Part) -> str:
    return "\n".join(part.program.output().splitlines()[-15:])
