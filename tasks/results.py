"""The result backend: where a job's state, progress and data are kept, on Redis.

It is Celery's own, with the same keys and the same JSON, so `AsyncResult` and other Celery programs
read it as ever. What it adds:

- A job that waits is marked before its message is sent, so Waiting and Unknown are told apart. The
  mark is set only where nothing is stored yet: a worker that is faster than the mark keeps its
  result.
- Every change of state is one script on the server, which refuses what must not happen: a late
  attempt over a newer one, a worker that was frozen over the one that took its place, anything over
  Complete or Cancelled. Celery reads first and writes then, and two workers can do so at the same
  time.
- A job may be begun anew under its id, after it has failed for good or its message was lost. Each
  such run has a higher number than the one before (the header `reruns`), and counts its attempts
  from the first; what an older run reports is refused.
- Data and progress stand in a hash beside the state, so a failure does not wipe them out.

Kept for each job: `celery-task-meta-<id>`, Celery's JSON, and `expresslane-job-<id>`, a hash of
`state`, `attempt`, `deaths`, `reruns`, `data`, `progress`, `cancel`, and for its timeline `queued`,
`claimed`, `started`, `ended`, `worker`, `error` of the latest attempt and `tries`, the ones before.
Both expire together.
"""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import redis
from celery import Celery, signals, states
from celery.app.task import Context
from celery.backends.redis import RedisBackend, SentinelBackend
from celery.exceptions import TaskRevokedError
from kombu.utils.encoding import bytes_to_str
from redis.commands.core import Script

from config.settings import framework_settings
from tasks import result_scripts
from tasks.broker.marks import Marks
from tasks.broker.wire import Word
from tasks.circuit import Circuit
from tasks.errors import Unreachable
from tasks.failed.message import RERUNS
from tasks.failed.record import OUTCOME, keep
from tasks.recording import Recorder, flush_all, may_be_left, recorder_of
from tasks.replay import replay_of

JSON: TypeAlias = bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"] | None
"""What data may be made of."""

UNFINISHED_EXPIRES = 30 * 86_400
"""Seconds until the marks of a job that never finishes are forgotten: no queue should be longer."""

AWAY_SECONDS = 120.0
"""How long a worker tries to reach a server that is away: less than a job's time limit (180 s).
With Celery's 20 seconds, all jobs that begin or end in a longer pause would be called Failed."""

UNRECORDED = "unrecorded"
"""Where a request notes that nobody could be told that it began."""

_ANY_ID, _ANY_TIME = "any-id", 0.125
"""Stand for a job's id and a moment in what is prepared once for all jobs."""

CLAIMED_AT = "claimed_at"
"""The field of a job's message where its worker notes when it has claimed it."""

LONGEST_ERROR = 300
"""Characters of an attempt's error that the timeline keeps. The whole is in Celery's record."""


@dataclass(frozen=True)
class RetriedJob:
    """A job that was put back into its queue after it had failed for good."""

    job_id: str
    reruns: int
    """The number of the run that this begins."""
    ignores_result: bool


@dataclass(frozen=True)
class Progress:
    """How far a job is: `done` of `total` steps, and what it does now."""

    done: int
    total: int
    message: str = ""

    def as_json(self) -> dict[str, JSON]:
        """Return it as it is stored and sent."""
        return {"done": self.done, "total": self.total, "message": self.message}


@dataclass(frozen=True)
class Record:
    """All that is stored of one job."""

    state: str
    """Celery's name of the state."""
    result: Any
    """What the body returned; for an error, Celery's description of it."""
    data: Any
    """What `set_data` stored last."""
    progress: Progress | None
    attempts: int


class Marker(ABC):
    """What Celery is given in the place of a producer, and sets the marks of its jobs itself."""

    @abstractmethod
    def mark(self, task_id: str) -> None:
        """Take the job to be marked."""


class JobResults(RedisBackend):
    """What both back ends below have in common."""

    job_keyprefix: Any = "expresslane-job-"
    """Celery makes bytes of its prefixes when it has put the global one before them."""

    if TYPE_CHECKING:
        # What Celery has and its type stubs leave out.
        app: Celery
        connection_errors: tuple[type[BaseException], ...]
        connparams: dict[str, Any]
        expires: int | None
        failure_expires: int | None
        task_keyprefix: Any
        key_t: Any
        _get_key_for: Any
        _get_pool: Any
        _pending_results: Any
        current_task_children: Any
        result_consumer: Any
        serializer: str
        get_key_for_task: Any

    def __init__(self, *args: Any, app: Celery, **kwargs: Any) -> None:
        super().__init__(*args, app=app, **kwargs)
        self.quick_client = self._quick_client()
        """For what a web request waits for: it gives up after `PUBLISH_TIMEOUT`."""
        self.circuit = Circuit()
        """Kept around the quick client, so that not every request waits for that long."""
        self._recorder: Recorder | None = None
        self._fields = Script(self.client, result_scripts.PUBLISH_FIELDS)
        self._cancel = Script(self.client, result_scripts.CANCEL)
        self._wait_again = Script(self.client, result_scripts.WAIT_AGAIN)

    # -- before a job runs -------------------------------------------------------------------------

    def on_task_call(self, producer: object, task_id: str) -> None:
        """Mark the job as waiting. Celery calls this right before it sends the message.

        A `Sender` sets the mark itself, in the same step that queues the message.

        Celery's own method subscribes to the result here, for each job, whether or not anybody
        will wait for it. `AsyncResult.get` subscribes by itself.
        """
        if isinstance(producer, Marker):
            producer.mark(task_id)
        else:
            self.mark([task_id])

    @cached_property
    def marks(self) -> Marks:
        """What marks jobs as waiting."""
        mark = self._meta(_ANY_ID, None, states.PENDING, enqueued_at=_ANY_TIME)
        before, after = str(bytes_to_str(mark)).split(json.dumps(_ANY_ID))
        between, end = after.split(json.dumps(_ANY_TIME))
        prefix = str(bytes_to_str(self.task_keyprefix))
        return Marks(prefix, (before, between, end), UNFINISHED_EXPIRES)

    def mark(self, task_ids: Sequence[str]) -> None:
        """Mark jobs as waiting, in one trip.

        Raises:
            Unreachable: when the result backend did not answer; some may be marked.

        """
        marks = self.marks
        try:
            with self.circuit, self.quick_client.pipeline(transaction=False) as pipe:
                for task_id in task_ids:
                    key, value = marks.key(task_id), marks.value(task_id)
                    pipe.set(key, value, ex=marks.seconds, nx=True)
                pipe.execute()
        except redis.RedisError as error:
            advice = "the job was not queued; schedule it again later"
            raise Unreachable(str(error), advice) from error

    def remove_pending_result(self, result: Any) -> Any:  # noqa: ANN401 (an AsyncResult)
        """Stop waiting for a result. Called for each `AsyncResult` that ends, waited for or not."""
        if any(self._pending_results) or self.result_consumer.subscribed_to:
            return super().remove_pending_result(result)
        return result

    def cancel(self, task_id: str) -> str:
        """Cancel the job if it waits, ask it to stop if it runs; return its state before.

        The state is Celery's name, or UNKNOWN.
        """
        meta = self._meta(
            task_id, self.prepare_exception(TaskRevokedError("cancelled")), states.REVOKED
        )
        keys = self.keys_of(task_id)
        arguments = [meta, self.seconds_to_keep(states.REVOKED)]
        with self.circuit:
            return bytes_to_str(self._cancel(keys, arguments, client=self.quick_client))

    def wait_again(self, jobs: Sequence[RetriedJob]) -> None:
        """Mark jobs as waiting that had failed and are queued anew; no newer state is touched."""
        with self.client.pipeline(transaction=False) as pipe:
            for job in jobs:
                ignored = job.ignores_result
                mark = "" if ignored else self._meta(job.job_id, None, states.PENDING)
                arguments = [mark, UNFINISHED_EXPIRES, job.reruns]
                self._wait_again(self.keys_of(job.job_id), arguments, client=pipe)
            pipe.execute()

    def next_run(self, task_id: str, at_least: int = 1) -> int:
        """Return the number for a new run of the job: the header `reruns` of its next message.

        It is for whoever sends the message of a job once more because it was lost, and knows how
        often it has done so (`at_least`). Others may have begun runs as well: who retries a failed
        job. Two runs of one number would be taken for one, and its first attempt for a late one.

        Raises:
            Unreachable: when the result backend did not answer.

        """
        try:
            last = self.quick_client.hget(self.get_key_for_job(task_id), "reruns")
        except redis.RedisError as error:
            raise Unreachable(str(error), "nothing was queued; send it again later") from error
        return max(at_least, int(last or 0) + 1)

    # -- while it runs -----------------------------------------------------------------------------

    def publish_fields(self, task_id: str, fields: Mapping[str, JSON]) -> bool:
        """Store data or progress, and wake whoever follows the job. False: it is cancelled.

        Raises:
            TypeError: when a value cannot be written as JSON.

        """
        pairs = [part for name, value in fields.items() for part in (name, json.dumps(value))]
        stored = self._ensure_long(
            self._fields, ([self.get_key_for_job(task_id)], [UNFINISHED_EXPIRES, *pairs])
        )
        return bool(stored)

    def _store_result(
        self,
        task_id: str,
        result: Any,  # noqa: ANN401 (any body's)
        state: str,
        traceback: str | None = None,
        request: Context | None = None,
        **_: object,
    ) -> Any:  # noqa: ANN401
        if state == states.STARTED and replay_of(request) is not None:
            return result  # as was recorded before its body ran
        meta = self._meta(task_id, result, state, traceback, request)
        # For a task that no worker knows, Celery's request has no such field.
        retries = getattr(request, "retries", None)
        attempt = "" if request is None else (retries or 0) + 1
        keys = self.keys_of(task_id)
        deaths = int(getattr(request, "deaths", None) or 0)
        reruns = int(getattr(request, RERUNS, None) or 0)
        arguments = [meta, state, attempt, deaths, self.seconds_to_keep(state), reruns]
        arguments += _for_timeline(result, state, request)
        if state == states.SUCCESS and self._may_be_left(request):
            self.recorder.leave(keys, arguments)
            return result
        try:
            answer = self._record_at_last(keys, arguments)
        except self.connection_errors:
            if state != states.STARTED or not isinstance(request, Context):
                raise
            # It has not run: `Job` puts it back.
            request.update({UNRECORDED: True})
            return result
        if answer == "cancel":
            self.mark_as_revoked(task_id, "cancelled", request=request)
        if isinstance(request, Context):
            request.update({OUTCOME: answer})
            if answer in ("cancel", states.REVOKED):
                request.update(cancelled=True)
        return result

    def mark_as_failure(
        self,
        task_id: str,
        exc: Exception,
        traceback: str | None = None,
        request: Context | None = None,
        store_result: bool = True,
        call_errbacks: bool = True,
        state: str = states.FAILURE,
    ) -> None:
        """Note the final failure of a job, and keep the job with the failed ones.

        All of them pass here: an error, a lost worker, a hard time limit, a rejected message.
        """
        try:
            super().mark_as_failure(
                task_id, exc, traceback, request, store_result, call_errbacks, state
            )
        finally:
            # Last, because the job is acknowledged by it: if we die before, it runs again.
            keep(self.app, task_id, exc, traceback, request)

    # -- afterwards --------------------------------------------------------------------------------

    def record_of(self, task_id: str) -> Record | None:
        """Return what is stored of the job; None if nothing is."""
        return self.records_of([task_id])[0]

    def records_of(self, task_ids: Sequence[str]) -> list[Record | None]:
        """Return what is stored of each of the jobs, in one trip to the server."""
        with self.circuit, self.quick_client.pipeline(transaction=False) as pipe:
            flush_all()
            for task_id in task_ids:
                pipe.get(self.get_key_for_task(task_id))
                pipe.hgetall(self.get_key_for_job(task_id))
            found = pipe.execute()
        return [self.read(*pair) for pair in zip(found[::2], found[1::2], strict=True)]

    def read(self, meta: bytes | None, fields: Mapping[bytes, bytes]) -> Record | None:
        """Make a record of the two stored values."""
        if not meta:
            return None
        stored = self.decode(meta)
        progress = json.loads(fields.get(b"progress", b"null"))
        return Record(
            state=stored["status"],
            result=stored["result"],
            data=json.loads(fields.get(b"data", b"null")),
            progress=Progress(**progress) if progress else None,
            attempts=int(fields.get(b"attempt", 0)),
        )

    def log_key(self, task_id: str) -> bytes:
        """Return the key of the list of the job's log lines."""
        return self.get_key_for_job(task_id) + b"-log"

    def timeline_fields(self, task_id: str) -> tuple[Any, dict[bytes, bytes], list[bytes]]:
        """Return Celery's record of the job (None if there is none), its hash, its log lines."""
        with self.quick_client.pipeline(transaction=False) as pipe:
            pipe.get(self.get_key_for_task(task_id))
            pipe.hgetall(self.get_key_for_job(task_id))
            pipe.lrange(self.log_key(task_id), 0, -1)
            meta, fields, lines = pipe.execute()
        return self.decode(meta) if meta else None, fields, lines

    def get(self, key: str) -> Any:  # noqa: ANN401 (Celery's)
        """Return what is stored under the key, what this process is about to store included."""
        flush_all()
        return super().get(key)

    @property
    def recorder(self) -> Recorder:
        """What this process records states with."""
        if self._recorder is None or self._recorder.pid != os.getpid():
            self._recorder = recorder_of(result_scripts.RECORD, self.client.connection_pool)
        return self._recorder

    def _record(self, keys: Sequence[bytes], arguments: Sequence[Word]) -> str:
        return str(bytes_to_str(self.recorder.run(keys, arguments)))

    def _record_at_last(self, keys: list[bytes], arguments: list[Any]) -> str:
        try:
            return self._record(keys, arguments)
        except self.connection_errors:
            return str(self._ensure_long(self._record, (keys, arguments)))

    def _may_be_left(self, request: Context | None) -> bool:
        """Tell whether a success may be recorded a little later: see `tasks/recording.py`.

        Not if others are told of it at once, who may look: the rest of a chord, receivers of
        Celery's signal.
        """
        return (
            isinstance(request, Context)
            and not getattr(request, "chord", None)
            and not signals.task_success.receivers
            and may_be_left(self.recorder, request.properties)
        )

    def get_key_for_job(self, task_id: str) -> bytes:
        """Return the key of the job's hash; changes of data and progress are published there."""
        return bytes(self._get_key_for(self.job_keyprefix, task_id))

    def prepare_exception(self, exc: Exception, serializer: str | None = None) -> Any:  # noqa: ANN401
        """Add the error's own sentence to what Celery stores: its class and its arguments."""
        prepared = super().prepare_exception(exc, serializer)
        if isinstance(prepared, dict):
            prepared["exc_text"] = f"{type(exc).__name__}: {exc}"
        return prepared

    def _ensure_long(
        self, script: Callable[..., Any], arguments: tuple[list[bytes], list[Any]]
    ) -> Any:  # noqa: ANN401 (the script's answer)
        """Run a worker's script; try again while the server is away."""
        return self.ensure(script, arguments, max_retries=None, timeout=AWAY_SECONDS)

    def _quick_client(self) -> redis.Redis:
        seconds = framework_settings().publish_timeout
        timeouts = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
        return redis.Redis(connection_pool=self._get_pool(**{**self.connparams, **timeouts}))

    def _forget(self, task_id: str) -> None:
        self.client.delete(*self.keys_of(task_id), self.log_key(task_id))

    def _add_global_keyprefix(self) -> None:
        plain = self.task_keyprefix
        super()._add_global_keyprefix()  # type: ignore[misc] # not in the stubs
        self.job_keyprefix = self.task_keyprefix.removesuffix(plain) + self.job_keyprefix

    def _encode_prefixes(self) -> None:
        super()._encode_prefixes()  # type: ignore[misc] # not in the stubs
        self.job_keyprefix = self.key_t(self.job_keyprefix)

    def _get_result_meta(
        self,
        result: Any,  # noqa: ANN401
        state: str,
        traceback: str | None,
        request: Context | None,
        **options: Any,
    ) -> dict[str, Any]:
        """Return what is stored of a job. Celery's own takes a while to look up its settings."""
        if options or self._is_extended:
            found: dict[str, Any] = super()._get_result_meta(  # type: ignore[misc] # not in the stubs
                result=result, state=state, traceback=traceback, request=request, **options
            )
            return found
        meta = {
            "status": state,
            "result": result,
            "traceback": traceback,
            "children": self.current_task_children(request),
            "date_done": self.app.now().isoformat() if state in states.READY_STATES else None,
        }
        for name, field in (("group_id", "group"), ("parent_id", "parent_id")):
            value = getattr(request, field, None)
            if value:
                meta[name] = value
        return meta

    def meta_of(self, result: Any, state: str, request: Context) -> dict[str, Any]:  # noqa: ANN401
        """Return what is stored of a job, without its id."""
        return self._get_result_meta(result, state, None, request)

    @cached_property
    def _is_extended(self) -> bool:
        return bool(self.app.conf.result_extended)

    def _meta(
        self,
        task_id: str,
        result: Any,  # noqa: ANN401
        state: str,
        traceback: str | None = None,
        request: Context | None = None,
        **more: JSON,
    ) -> str | bytes:
        meta = self._get_result_meta(
            result=result, state=state, traceback=traceback, request=request
        )
        meta["task_id"] = bytes_to_str(task_id)
        return self.encode({**meta, **more})

    def keys_of(self, task_id: str) -> list[bytes]:
        """Return the job's two keys: Celery's JSON, and the hash."""
        return [bytes(self.get_key_for_task(task_id)), self.get_key_for_job(task_id)]

    def seconds_to_keep(self, state: str) -> int:
        """Return how long what is known of a job in this state is kept."""
        if state in states.UNREADY_STATES:
            return UNFINISHED_EXPIRES
        if state == states.FAILURE:
            return self.failure_expires or UNFINISHED_EXPIRES
        if state == states.REVOKED:
            # Its message may still be queued; forgotten too early, the job would run after all.
            return UNFINISHED_EXPIRES
        return self.expires or UNFINISHED_EXPIRES


def _for_timeline(
    result: Any,  # noqa: ANN401 (any body's)
    state: str,
    request: Context | None,
) -> list[Any]:
    """Return since when the job waited, when it was claimed, where it runs, and its error."""
    told = [getattr(request, name, None) for name in ("enqueued_at", CLAIMED_AT, "hostname")]
    is_error = state in (states.RETRY, states.FAILURE) and isinstance(result, Mapping)
    error = str(result.get("exc_text", ""))[:LONGEST_ERROR] if is_error else ""
    return [*("" if one is None else one for one in told), error]


class ResultBackend(JobResults):
    """Results on one server: `redis://` and `rediss://`."""


class SentinelResultBackend(JobResults, SentinelBackend):
    """Results on servers that Redis Sentinel watches: `sentinel://`."""
