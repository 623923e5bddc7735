"""How the templates show times, data and bytes."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from config.masking import rules
from tasks.raw import MOST, readable
from tasks.terminal import ago as in_words

BRIEF = 200
"""Characters of a job's data in a list."""


class HasData(Protocol):
    """A job, or what makes one."""

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments."""

    @property
    def data(self) -> Mapping[str, Any]:
        """The named arguments."""


class Shown:
    """What the templates of our pages call."""

    @staticmethod
    def ago(at: datetime) -> str:
        """Return how long ago it was, such as `3h ago`."""
        return in_words((datetime.now(UTC) - at).total_seconds())

    @staticmethod
    def until(at: datetime) -> str:
        """Return how long it is until then, such as `in 3h`."""
        seconds = (at - datetime.now(UTC)).total_seconds()
        return f"in {Shown.age(seconds)}" if seconds >= 1 else "now"

    @staticmethod
    def age(seconds: float | None) -> str:
        """Return a time in its largest whole unit, such as `3h`; a dash for none."""
        if seconds is None:
            return "—"
        return in_words(seconds).removesuffix(" ago").replace("just now", "less than 1s")

    @staticmethod
    def masked(value: Any) -> Any:  # noqa: ANN401 (any JSON)
        """Return it with what nobody should read by the way replaced."""
        return rules().value(value)

    @staticmethod
    def pretty(value: object) -> str:
        """Return it as JSON that a person can read."""
        return json.dumps(value, indent=2, ensure_ascii=False, default=str)

    @staticmethod
    def brief(job: HasData) -> str:
        """Return a job's data on one line, masked and cut."""
        data = rules().value(dict(job.data))
        shown = [*rules().value(list(job.args)), data] if job.args else data
        text = json.dumps(shown, ensure_ascii=False, default=str)
        return text if len(text) <= BRIEF else f"{text[:BRIEF]}…"

    @staticmethod
    def bytes_of(message: bytes, reveal: bool = False, most: int = MOST) -> str:
        """Return bytes as text that shows each of them, masked unless they are to be revealed."""
        return readable(message, reveal=reveal, most=most)


def counted(number: int, noun: str) -> str:
    """Return such as `1 job` or `1,200 jobs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
