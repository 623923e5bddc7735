"""The states of a job: a closed set, in Resque's words, and how Celery's states map onto them.

    Unknown   -> Waiting                        schedule
    Waiting   -> Running | Cancelled            a worker starts it | cancel
    Running   -> Complete | Failed | Retrying | Cancelled
    Retrying  -> Running | Cancelled            its time has come | cancel

Complete, Failed and Cancelled are final. A final state is forgotten after `RESULT_EXPIRES`
(`RESULT_FAILURE_EXPIRES` for Failed): then the job is Unknown again.
"""

from enum import StrEnum

from celery import states as celery_states


class JobState(StrEnum):
    """Where a job stands."""

    UNKNOWN = "Unknown"
    """No job of this id was ever scheduled, or it was so long ago that it is forgotten."""
    WAITING = "Waiting"
    """In its queue, or about to be put there."""
    RUNNING = "Running"
    """A worker has started its body."""
    RETRYING = "Retrying"
    """An attempt met an error that may pass; another one follows."""
    COMPLETE = "Complete"
    """Its body has returned; its data are there."""
    FAILED = "Failed"
    """It met an error that will not pass, or one that did not pass in all its attempts."""
    CANCELLED = "Cancelled"
    """Taken back before it was complete."""

    @property
    def is_final(self) -> bool:
        """Tell whether nothing more will happen to the job by itself."""
        return self in FINAL


FINAL = frozenset({JobState.COMPLETE, JobState.FAILED, JobState.CANCELLED})

_FROM_CELERY = {
    celery_states.PENDING: JobState.WAITING,
    celery_states.RECEIVED: JobState.WAITING,
    celery_states.STARTED: JobState.RUNNING,
    celery_states.RETRY: JobState.RETRYING,
    celery_states.SUCCESS: JobState.COMPLETE,
    celery_states.FAILURE: JobState.FAILED,
    celery_states.REJECTED: JobState.FAILED,
    celery_states.REVOKED: JobState.CANCELLED,
    celery_states.IGNORED: JobState.CANCELLED,
}


def from_celery(name: str) -> JobState:
    """Map one of Celery's states; a state of a task's own making counts as Running."""
    return _FROM_CELERY.get(name, JobState.RUNNING)
