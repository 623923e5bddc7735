"""Every error that the framework raises, in one tree.

ExpresslaneError
+-- BadJob            what was to be scheduled cannot become a job; nothing was queued
+-- DeliveryLimitReached  a job's workers died each time; it is not delivered again
+-- NoSuchFailedJob   no failed job has this id (any more)
+-- NoSuchMessage     no message of this id is in quarantine (any more)
+-- NoOutbox          nobody has said which database holds the outbox, or it is none that can
+-- NoSuchRow         no row of the outbox has this id (any more)
+-- JobGone           a queued or delayed job is not where it was seen; nothing was changed
+-- NotAJob           the message is no job, so this cannot be done to it; nothing was changed
+-- BadCursor         what should lead to the next page does not
+-- NoSuchQueue       no queue has this name
+-- NoSuchEntry       no entry of the schedule has this name
+-- Unreachable       the broker or the result backend did not answer in time
|   +-- BulkStopped   the same in the middle of many jobs: which of them are queued
+-- JobCancelled      raised inside a body whose job was cancelled; let it pass

Errors of the broker (`kombu.exceptions.OperationalError`) and of a job's own code come through as
they are.
"""

from collections.abc import Sequence

from celery.exceptions import Ignore
from kombu.exceptions import OperationalError


class ExpresslaneError(Exception):
    """Any error of the framework's own."""


class BadJob(ExpresslaneError, ValueError):
    """What was to be scheduled cannot become a job. Nothing was queued."""


class Unreachable(ExpresslaneError, OperationalError, ConnectionError):
    """The broker or the result backend did not answer in time.

    It is kombu's `OperationalError` too, which is what Celery raises.
    """

    def __init__(self, reason: str, advice: str, *, may_be_queued: bool = False) -> None:
        self.reason = reason
        self.advice = advice
        self.may_be_queued = may_be_queued
        """Whether the job may be in its queue all the same, because only the answer is missing."""
        super().__init__(reason, advice)

    def __str__(self) -> str:
        return f"the broker or the result backend is not usable ({self.reason}); {self.advice}"


class BulkStopped(Unreachable):
    """Many jobs were being queued when the broker or the result backend stopped answering.

    Each job that was taken from the caller's data is in exactly one of the three; the ids are in
    the order of the data. What comes after them in the data was not looked at.
    """

    def __init__(
        self,
        cause: Unreachable,
        queued: Sequence[str],
        unknown: Sequence[str],
        not_queued: Sequence[str],
    ) -> None:
        advice = (
            f"{len(queued)} jobs are queued, {len(unknown)} may be, {len(not_queued)} are not; the "
            "error's attributes hold their ids"
        )
        super().__init__(cause.reason, advice, may_be_queued=bool(unknown))
        self.queued = queued
        self.unknown = unknown
        """Sent, and no answer came. Their status tells: those that are Unknown are not queued."""
        self.not_queued = not_queued


class DeliveryLimitReached(ExpresslaneError):
    """Each worker that got this job died over it, as often as the limit allows."""

    def __init__(self, job_id: str, deaths: int) -> None:
        self.job_id = job_id
        self.deaths = deaths
        super().__init__(job_id, deaths)

    def __str__(self) -> str:
        return (
            f"it was delivered {self.deaths} times, and each time its worker died; look for what "
            "kills a process (memory, a segmentation fault, os._exit) before you retry it"
        )


class NoSuchFailedJob(ExpresslaneError, LookupError):
    """No failed job has this id: it did not fail, or somebody has retried or discarded it."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(job_id)

    def __str__(self) -> str:
        return (
            f"no failed job has the id {self.job_id}; it may have been retried or discarded by now"
        )


class NoSuchMessage(ExpresslaneError, LookupError):
    """No message of this id is in quarantine; it may have been put back or discarded."""

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id
        super().__init__(message_id)

    def __str__(self) -> str:
        return f"no message {self.message_id!r} is in quarantine"


class NoOutbox(ExpresslaneError, RuntimeError):
    """The outbox cannot be used in this process; the message says what is missing."""


class NoSuchRow(ExpresslaneError, LookupError):
    """No row of the outbox has this id: it was never committed, or finished long ago."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(job_id)

    def __str__(self) -> str:
        return (
            f"the outbox has no row of job {self.job_id}; its transaction was rolled back, "
            "or it finished so long ago that it is forgotten"
        )


class JobGone(ExpresslaneError, LookupError):
    """A queued or delayed job is not where it was seen. Nothing was changed."""

    def __init__(self, job: str, reason: str) -> None:
        self.job = job
        """The job's id; for a message that is no job, what it was asked for by."""
        self.reason = reason
        super().__init__(job, reason)

    def __str__(self) -> str:
        return f"{self.job}: {self.reason}"


class NotAJob(ExpresslaneError, ValueError):
    """The message is no job, so this cannot be done to it. Nothing was changed."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        super().__init__(fault)

    def __str__(self) -> str:
        return (
            f"this message is no job ({self.fault}); it can be moved, or removed to quarantine, "
            "and nothing else"
        )


class BadCursor(ExpresslaneError, ValueError):
    """What should lead to the next page does not; begin with the first page."""

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor
        super().__init__(cursor)

    def __str__(self) -> str:
        return f"{self.cursor!r:.100} leads to no page; begin with the first one"


class NoSuchQueue(ExpresslaneError, LookupError):
    """No queue has this name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name = name
        self.known = known
        super().__init__(name, known)

    def __str__(self) -> str:
        return f"there is no queue {self.name!r}; there are {', '.join(self.known)}"


class NoSuchEntry(ExpresslaneError, LookupError):
    """No entry of the schedule has this name: no beat that has it was ever started."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name = name
        self.known = known
        super().__init__(name, known)

    def __str__(self) -> str:
        known = f"there are {', '.join(self.known)}" if self.known else "there are none"
        return f"the schedule has no entry {self.name!r}; {known}"


class JobCancelled(ExpresslaneError, Ignore):
    """The job was cancelled while its body ran. Clean up if need be, and let it pass."""
