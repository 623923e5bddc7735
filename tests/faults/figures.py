"""What a campaign counts."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from tasks.states import JobState
from tests.faults.arena import Arena
from tests.faults.ledger import Event

KILLS = ("kill group", "kill parent", "kill child")


@dataclass
class Figures:
    """The count, which a campaign brings up to date as it goes."""

    faults: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    """Calls of `delay` that returned."""
    refused: int = 0
    """Calls of `delay` that raised: nothing is promised for them."""
    executed: int = 0
    """Jobs whose body came to its end at least once."""
    lost: int = 0
    """Accepted, neither executed nor given up, although nothing is left to be delivered."""
    given_up: int = 0
    """Not executed, because as many workers as the limit allows were killed over them: Failed."""
    ran_twice: int = 0
    """Jobs whose body came to its end more than once."""
    effects_twice: int = 0
    """Jobs whose idempotent effect was applied more than once."""
    not_complete: int = 0
    """Executed jobs whose state is another than Complete at the end."""
    recoveries: list[float] = field(default_factory=list)
    """Seconds from a kill until a job that ran there had ended elsewhere."""

    @property
    def kills(self) -> int:
        """How many processes or groups were killed with SIGKILL."""
        return sum(self.faults[name] for name in KILLS)

    @property
    def broken_promises(self) -> int:
        """How many jobs have come to what must not be."""
        return self.lost + self.effects_twice + self.not_complete

    def look(self, arena: Arena) -> None:
        """Bring up to date what can be told at any time."""
        ledger = arena.ledger.read()
        self.accepted, self.executed = len(ledger.accepted), len(ledger.ends)
        self.refused = len(ledger.refused)

    def count(self, arena: Arena, killed: list[tuple[float, Event]]) -> None:
        """Compare what was accepted with what has come of it, once all is drained."""
        self.look(arena)
        ledger = arena.ledger
        accepted = ledger.accepted
        missing = [accepted[number] for number in set(accepted) - set(ledger.ends)]
        self.given_up = sum(is_given_up(arena, job_id) for job_id in missing)
        self.lost = len(missing) - self.given_up
        self.ran_twice = sum(len(ends) > 1 for ends in ledger.ends.values())
        self.effects_twice = sum(times > 1 for times in ledger.effects.values())
        done = [job_id for number, job_id in accepted.items() if number in ledger.ends]
        states = arena.states(done)
        self.not_complete = sum(state is not JobState.COMPLETE for state in states)
        self.recoveries = list(recoveries(arena, killed))


def is_given_up(arena: Arena, job_id: str) -> bool:
    """Tell whether the job has failed because its workers died."""
    result = arena.meta(job_id).get("result")
    return isinstance(result, dict) and result.get("exc_type") == "DeliveryLimitReached"


def recoveries(arena: Arena, killed: list[tuple[float, Event]]) -> Iterator[float]:
    """Yield the seconds from each kill until a job that was held there had ended elsewhere."""
    for at, held in killed:
        ended = arena.ledger.ended_elsewhere(held)
        if ended is not None:
            yield max(0.0, ended - at)


def middle_and_most(seconds: list[float]) -> str:
    """Return median and maximum, for a table."""
    return f"{median(seconds):.1f} / {max(seconds):.1f}" if seconds else "-"
