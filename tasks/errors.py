"""Every error that the framework raises, in one tree.

ExpresslaneError
+-- BadJob            what was to be scheduled cannot become a job; nothing was queued
|   +-- UnknownTask   no task has this name
+-- JobCancelled      raised inside a body whose job was cancelled; let it pass

Errors of the broker (`kombu.exceptions.OperationalError`) and of a job's own code come through as
they are.
"""

from celery.exceptions import Ignore


class ExpresslaneError(Exception):
    """Any error of the framework's own."""


class BadJob(ExpresslaneError, ValueError):
    """What was to be scheduled cannot become a job. Nothing was queued."""


class UnknownTask(BadJob):
    """No task has this name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name = name
        self.known = known
        super().__init__(f"no task is named {name!r}; there are: {', '.join(known) or 'none'}")


class JobCancelled(ExpresslaneError, Ignore):  # noqa: N818 (it is news, not a fault)
    """The job was cancelled while its body ran. Clean up if need be, and let it pass."""
