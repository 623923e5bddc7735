"""Schedule jobs by name, ask how they are, take them back: Resque's JobScheduler, as functions.

    job_id = schedule("work.test_job", {"payload": "hello"})
    status(job_id).state          # Waiting, Running, ... Complete
    status(job_id).data           # what the job returned, or set while it runs

Scheduling needs the task's name only, not its code: the web application does not import it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

from celery import Celery
from kombu import Connection
from kombu.exceptions import ChannelError, EncodeError
from kombu.transport import virtual
from kombu.utils.json import dumps

from config.queues import DEFAULT
from tasks import states
from tasks.broker.access import reachable
from tasks.celery import app
from tasks.errors import BadJob, Unreachable
from tasks.results import JSON, JobResults, Progress, Record
from tasks.states import JobState

INSPECT_SECONDS = 1.0
"""How long `workers` waits for answers. Workers on one network answer within some milliseconds."""


@dataclass(frozen=True)
class JobStatus:
    """How one job is."""

    job_id: str
    state: JobState
    data: Any = None
    """What its body returned, or what it set last while it ran."""
    progress: Progress | None = None
    attempts: int = 0
    """How often its body was started."""
    error: str | None = None
    """`ErrorType: message` of the last attempt, while it is Retrying or has Failed."""
    is_stored: bool = field(default=False, compare=False)
    """Whether its row in the outbox tells this, because the result backend cannot."""

    @property
    def is_certain(self) -> bool:
        """Whether no other store could know better: it has ended, or it was never begun."""
        return self.state.is_final or (self.state is JobState.WAITING and not self.attempts)


@dataclass(frozen=True)
class Worker:
    """A worker that answered."""

    name: str
    queues: tuple[str, ...]
    running: tuple[str, ...]
    """The ids of the jobs that it runs now."""


def schedule(
    name: str,
    data: Mapping[str, JSON] | None = None,
    queue: str = DEFAULT,
    *,
    job_id: str | None = None,
) -> str:
    """Put a job into its queue, and return its id.

    Args:
        name: the task's name, as its `@app.task(name=...)` says.
        data: its keyword arguments; what JSON can carry.
        queue: a queue that some worker works on.
        job_id: an id of the caller's own; a new UUID by default.

    Raises:
        BadJob: when name, data or queue cannot make a job; nothing was queued.
        Unreachable: when the broker or the result backend did not answer in time; its
            `may_be_queued` tells whether the job may be in its queue all the same.

    """
    check(name, data, queue)
    job_id = job_id or str(uuid4())
    app.send_task(name, kwargs=dict(data or {}), queue=queue, task_id=job_id)
    return job_id


def status(job_id: str) -> JobStatus:
    """Return the job's state, data and progress.

    Raises:
        Unreachable: when the result backend did not answer.

    """
    try:
        with reachable("ask again later"):
            record = backend().record_of(job_id)
    except Unreachable:
        known = _known_elsewhere(job_id)
        if known is None or not known.is_certain:
            raise
        return known
    if record is None:
        return _known_elsewhere(job_id) or JobStatus(job_id, JobState.UNKNOWN)
    return status_of(job_id, record)


elsewhere: list[Callable[[str], JobStatus | None]] = []
"""Who is asked about a job that the result backend knows nothing of. The outbox adds itself."""


def _known_elsewhere(job_id: str) -> JobStatus | None:
    for ask in elsewhere:
        known = ask(job_id)
        if known is not None:
            return known
    return None


def cancel(job_id: str) -> JobStatus:
    """Take the job back, and return its status now.

    One that waits is Cancelled at once and will not run. One that runs stops at its next
    `progress` or `set_data`, and is Running until then. One that is finished stays as it is.

    Raises:
        Unreachable: when the result backend did not answer.

    """
    with reachable("the job may or may not have been cancelled; ask for its status"):
        backend().cancel(job_id)
    return status(job_id)


def queues() -> tuple[str, ...]:
    """Return the names of all queues: those configured, then others that have held jobs.

    Raises:
        Unreachable: when the broker did not answer.

    """
    configured = tuple(app.amqp.queues)
    with reachable("ask again later"), app.connection_for_read() as connection:
        used = _channel(connection).get_table(app.conf.task_default_exchange)
    others = {queue for *_, queue in used} - set(configured)
    return configured + tuple(sorted(others))


def size(queue: str = DEFAULT) -> int:
    """Return how many jobs wait in the queue. Those that workers hold are not counted.

    Raises:
        Unreachable: when the broker did not answer.

    """
    with reachable("ask again later"), app.connection_for_read() as connection:
        try:
            found = _channel(connection).queue_declare(queue, passive=True)
        except ChannelError:
            # An empty list does not exist in Redis.
            return 0
    return int(found.message_count)


def workers() -> tuple[Worker, ...]:
    """Return the workers that answer within `INSPECT_SECONDS`, with what each works on.

    Raises:
        Unreachable: when the broker did not answer.

    """
    inspect = app.control.inspect(timeout=INSPECT_SECONDS)
    with reachable("ask again later"):
        answers, running = inspect.active_queues() or {}, inspect.active() or {}
    return tuple(
        Worker(
            name,
            queues=tuple(queue["name"] for queue in consumed),
            running=tuple(str(job["id"]) for job in running.get(name, ())),
        )
        for name, consumed in sorted(answers.items())
    )


def status_at(other: Celery, job_id: str) -> JobStatus:
    """Return how a job of any app is, by its result backend alone.

    Raises:
        Unreachable: when the result backend did not answer, or is not one of ours.

    """
    found = other.backend
    if not isinstance(found, JobResults):
        raise Unreachable("result_backend is not tasks.results:ResultBackend", "set it so")
    with reachable("ask again later"):
        return status_of(job_id, found.record_of(job_id))


def status_of(job_id: str, record: Record | None) -> JobStatus:
    """Read a stored record as a status; None as Unknown."""
    if record is None:
        return JobStatus(job_id, JobState.UNKNOWN)
    state = states.from_celery(record.state)
    returned = record.result if state is JobState.COMPLETE else None
    return JobStatus(
        job_id,
        state,
        data=record.data if returned is None else returned,
        progress=record.progress,
        attempts=record.attempts,
        error=error_of(record.result) if state in (JobState.RETRYING, JobState.FAILED) else None,
    )


def backend() -> JobResults:
    """Return the result backend.

    Raises:
        TypeError: when `result_backend` names one that keeps no job records.

    """
    found = app.backend
    if not isinstance(found, JobResults):
        raise TypeError(f"result_backend must be tasks.results:ResultBackend, not {found!r}")
    return found


def check(name: str, data: Mapping[str, JSON] | None, queue: str) -> None:
    """Check what is to be scheduled.

    Raises:
        BadJob: when it cannot make a job.

    """
    if not name or not isinstance(name, str):
        raise BadJob(f"a job needs the name of its task, such as 'work.test_job', not {name!r}")
    if not queue or not isinstance(queue, str):
        raise BadJob(f"a job needs the name of its queue, such as {DEFAULT!r}, not {queue!r}")
    if data is not None and not isinstance(data, Mapping):
        raise BadJob(f"a job's data are named values, such as {{'url': ...}}, not {data!r}")
    try:
        dumps(dict(data or {}))
    except (EncodeError, TypeError, ValueError) as error:
        raise BadJob(f"a job's data must be what JSON can carry: {error}") from error


def error_of(result: object) -> str:
    """Return `ErrorType: message` of what the result backend has stored of an error."""
    if not isinstance(result, Mapping):
        return str(result)
    return str(result.get("exc_text") or f"{result.get('exc_type')}: {result.get('exc_message')}")


def _channel(connection: Connection) -> virtual.Channel:
    """Return the connection's channel as what it is with Redis; the stubs know the base only."""
    return cast("virtual.Channel", connection.default_channel)
