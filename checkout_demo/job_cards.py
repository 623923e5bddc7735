"""What a page says about a job: what happens now, what comes next, in plain words.

Each state of `tasks/states.py` has its two sentences here, and so has the case in which the state
cannot be looked up. A state that gets no words is found by a test.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tasks.scheduler import JobStatus
from tasks.states import JobState

OUT_OF_SIGHT = "Out of sight"
"""Stands for the state while the result backend does not answer."""

STORED = "Stored"
"""Stands for a job that waits, and that the outbox alone tells of."""

_SETTLED = frozenset({*(state for state in JobState if state.is_final), JobState.UNKNOWN})


@dataclass(frozen=True)
class Words:
    """The two sentences of a state."""

    now: str
    next: str


_WORDS: Mapping[str, Words] = {
    JobState.WAITING: Words("In the queue.", "It starts as soon as a worker is free."),
    STORED: Words(
        "Kept with the order.",
        "It goes into the queue by itself, and starts as soon as a worker is free.",
    ),
    JobState.RUNNING: Words("A worker is on it.", "This takes a moment."),
    JobState.RETRYING: Words(
        "The last attempt met an error that may pass.",
        "It is tried again by itself, after a pause that grows. There is nothing to do.",
    ),
    JobState.COMPLETE: Words("Done.", "Nothing is left to do."),
    JobState.FAILED: Words(
        "It met an error that does not pass by itself.",
        "It is kept with its error. Whoever runs the store can mend the cause and retry it.",
    ),
    JobState.CANCELLED: Words("It was taken back before it was complete.", "It will not run."),
    JobState.UNKNOWN: Words(
        "Nothing is known of this job.",
        "It was never queued, or it finished so long ago that its result is forgotten.",
    ),
    OUT_OF_SIGHT: Words(
        "The job's state cannot be looked up at the moment.",
        "The job goes on without this page. Look again shortly.",
    ),
}


@dataclass(frozen=True)
class JobCard:
    """One job as a page shows it. `status` is None while its state cannot be looked up."""

    job_id: str
    title: str
    task: str
    status: JobStatus | None
    done: str = ""
    """What to say instead of "Done." once it is Complete."""
    done_at: datetime | None = None
    """When that was, where a ledger knows it."""

    @property
    def state(self) -> str:
        """The state's name."""
        return self.status.state.value if self.status else OUT_OF_SIGHT

    @property
    def now(self) -> str:
        """What happens now."""
        if self.state == JobState.COMPLETE and self.done:
            return self.done
        return self._words.now

    @property
    def next(self) -> str:
        """What comes next."""
        return self._words.next

    @property
    def _words(self) -> Words:
        is_stored = self.status is not None and self.status.is_stored
        return _WORDS[STORED if is_stored and self.state == JobState.WAITING else self.state]

    @property
    def is_settled(self) -> bool:
        """Tell whether watching it any longer would show nothing new."""
        return self.status is not None and self.status.state in _SETTLED

    @property
    def progress(self) -> Mapping[str, Any] | None:
        """How far it is, while it runs."""
        if self.status is None or self.status.state is not JobState.RUNNING:
            return None
        return self.status.progress.as_json() if self.status.progress else None


def all_settled(cards: Iterable[JobCard]) -> bool:
    """Tell whether a page that shows these can stop looking."""
    return all(card.is_settled for card in cards)


def summary(cards: Sequence[JobCard]) -> str:
    """Say in one sentence how the jobs stand, for those who do not see the cards change."""
    states = [card.state for card in cards]
    if all(state == JobState.COMPLETE for state in states):
        return f"All {len(cards)} jobs are complete."
    counts = {state: states.count(state) for state in dict.fromkeys(states)}
    return f"{', '.join(f'{count} {state.lower()}' for state, count in counts.items())}."


def as_json(status: JobStatus) -> dict[str, Any]:
    """Return the status as the HTTP contract has it."""
    return {
        "jobId": status.job_id,
        "status": status.state.value,
        "data": clean(status.data),
        "progress": status.progress.as_json() if status.progress else None,
        "attempts": status.attempts,
        "error": status.error,
    }


def clean(data: Any) -> Any:  # noqa: ANN401 (any job's data)
    """Return data that every JSON reader takes: no NaN, no halves of surrogate pairs.

    Python reads and writes both, so what another program has queued may hold them.
    """
    written = json.dumps(data, ensure_ascii=False).encode(errors="replace")
    return json.loads(written, parse_constant=lambda _: None)
