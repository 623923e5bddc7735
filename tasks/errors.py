"""Every error that the framework raises, in one tree.

ExpresslaneError
+-- BadJob            what was to be scheduled cannot become a job; nothing was queued
|   +-- UnknownTask   no task has this name
+-- Unreachable       the broker or the result backend did not answer in time
+-- JobCancelled      raised inside a body whose job was cancelled; let it pass

Errors of the broker (`kombu.exceptions.OperationalError`) and of a job's own code come through as
they are.
"""

from celery.exceptions import Ignore


class ExpresslaneError(Exception):
    """Any error of the framework's own."""


class BadJob(ExpresslaneError, ValueError):
    """What was to be scheduled cannot become a job. Nothing was queued."""


class Unreachable(ExpresslaneError, ConnectionError):
    """The broker or the result backend did not answer in time."""

    def __init__(self, reason: str, advice: str) -> None:
        self.reason = reason
        self.advice = advice
        super().__init__(reason, advice)

    def __str__(self) -> str:
        return f"the broker or the result backend did not answer ({self.reason}); {self.advice}"


class UnknownTask(BadJob):
    """No task has this name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name = name
        self.known = known
        super().__init__(f"no task is named {name!r}; there are: {', '.join(known) or 'none'}")


class JobCancelled(ExpresslaneError, Ignore):
    """The job was cancelled while its body ran. Clean up if need be, and let it pass."""
