"""One plain job, from when it begins to its end."""

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from time import time
from typing import Any

from celery import Task, _state
from celery.app.task import Context
from celery.states import SUCCESS
from celery.worker import state

from tasks import recording, tracing
from tasks.broker.channel import CONNECTION_LOST, ClaimingChannel
from tasks.broker.claims import Claim
from tasks.enqueued import waiting_since
from tasks.failed.message import OUTBOX
from tasks.fastpath.celerys_way import Celerys, Shown
from tasks.fastpath.plain import CALLBACKS
from tasks.fastpath.states import States
from tasks.history.recorder import recorder
from tasks.replay import Replay
from tasks.results import CLAIMED_AT, UNRECORDED

_logger = logging.getLogger("tasks.worker")

_TASKS_HERE: Any = vars(_state)["_task_stack"]
"""What Celery's `current_task` looks at."""

_NOTED = (*("log_tokens", "started", "_children", "ignore_result"), *CALLBACKS)
"""What is noted in the request of a job while it runs, and Celery's way must know."""

_NOTED_BEFORE = ("cancelled", UNRECORDED)
"""What is noted there before it runs, and matters only if it was not run."""


class NotStarted(Exception):
    """The body has not run: the job was cancelled, or nobody could be told that it began."""


class HandedOn(Exception):
    """The body has returned, and has given its job callbacks or a chain while it ran."""

    def __init__(self, result: Any) -> None:  # noqa: ANN401 (any body's)
        super().__init__()
        self.result = result


class Run:
    """One run of a plain job that this worker has claimed."""

    __slots__ = (
        *("_began", "_celerys", "_channel", "_shown", "_started", "_states"),
        *("claim", "context", "fields", "job_id", "task"),
    )

    def __init__(
        self,
        claim: Claim,
        task: Task[..., Any],
        fields: dict[str, Any],
        celerys: Celerys,
        channel: ClaimingChannel,
    ) -> None:
        self.claim = claim
        self.task = task
        self.fields = fields
        """Those of its request, as the body sees it."""
        self.job_id: str = fields["id"]
        self.context = Context.__new__(Context)
        # As Celery makes it, which copies the fields and looks through them.
        self.context.__dict__ = fields
        self._celerys = celerys
        self._channel = channel
        self._shown: Shown | None = None
        self._states: States | None = None
        self._started: Callable[[bool], None] | None = None
        """What waits for the word that it has been recorded that the job begins."""

    def show(self) -> None:
        """Let others see it from now on, where somebody can look while it runs."""
        claimed_at = self.fields[CLAIMED_AT]
        self._shown = Shown(self._celerys, self.claim, self.job_id, self.task.name, claimed_at)
        state.task_reserved(self._shown)

    def begin(self, states_of: Callable[[Any], States]) -> bool:
        """Have it recorded that the job begins. False: its claim has gone back, it must not run.

        Without a pool, `run` is called when the next job of the batch has been read: meanwhile, the
        server answers.
        """
        if not self._ignores_result:
            self._states = states_of(self.task.backend)
        is_recorded = self._states is not None and self.task.track_started
        if not is_recorded and recording.is_any_left():
            # Otherwise that it begins is recorded now, and with it what was left.
            with suppress(*CONNECTION_LOST):
                recording.flush_all()
        if not self._channel.holdings.start(self.claim.tag):
            _logger.info("job %s is not started: its claim has gone back", self.job_id)
            self._forget()
            return False
        if is_recorded and self._states is not None:
            self._started = self._states.start(self.job_id, self.context)
        return True

    def leave(self) -> None:
        """Do not run it, though it has begun: the worker is told to end at once."""
        if self._started is not None:
            self._started(False)

    def give_back(self) -> None:
        """Put the job back into its queue: what became of it could not be stored."""
        state.requests.pop(self.job_id, None)
        with suppress(*CONNECTION_LOST):  # then the lease keeper puts it back
            self._channel.holdings.give_back([self.claim.tag])

    def run(self) -> None:
        """Run the body, and see to what comes of it."""
        task, context = self.task, self.context
        self._began = time()
        self._count_start()
        error: BaseException | None = None
        # Each gives its list, whose own `pop` does what the stack's does in a tenth of its time.
        stacks = _TASKS_HERE.push(task), task.request_stack.push(context)
        try:
            tracing.begin(self.job_id, task.name, context)
            self._wait_until_started()
            body = task if OUTBOX in self.fields else task.run
            result = body(*self.fields["args"], **self.fields["kwargs"])
            if self.fields["callbacks"] or self.fields["chain"]:
                raise HandedOn(result)  # noqa: TRY301 (Celery's way sends them)
            if self._states is not None:
                self._states.succeed(self.job_id, context, result)
            tracing.end(context, SUCCESS)
        except BaseException as raised:  # noqa: BLE001 (Celery's way tells them apart)
            error = raised
        finally:
            for stack in stacks:
                stack.pop()
        if error is None:
            self._succeed()
        else:
            self._hand_over(error)

    def _wait_until_started(self) -> None:
        if self._started is not None:
            self._started(True)
        if self.fields.get("cancelled") or self.fields.get(UNRECORDED):
            raise NotStarted

    def _succeed(self) -> None:
        self._forget()
        since = waiting_since(self.fields)
        wait = None if since is None else self._began - since
        recorder.ran(self.task.name, self.queue, wait, time() - self._began)
        try:
            self._channel.holdings.acknowledge(self.claim.tag)
            self._channel.flush_soon()
        except CONNECTION_LOST as error:
            _logger.warning("an acknowledgement waits for the next connection: %s", error)

    def _hand_over(self, error: BaseException) -> None:
        """Have Celery do what it does when a body raises this."""
        request = self._celerys.request(self.claim, self.fields[CLAIMED_AT])
        request.time_start, request.worker_pid = self._began, os.getpid()
        state.requests[self.job_id] = request
        state.active_requests.add(request)
        if self._shown is not None:
            state.active_requests.discard(self._shown)
            state.reserved_requests.discard(self._shown)
        names = _NOTED + _NOTED_BEFORE if isinstance(error, NotStarted) else _NOTED
        noted = {name: self.fields[name] for name in names if name in self.fields}
        replay = Replay(None, error.result) if isinstance(error, HandedOn) else Replay(error)
        self._celerys.take_over(request, noted, replay)

    @property
    def queue(self) -> str:
        """The queue that it is counted with, as `queue_of` tells it of a message."""
        return str(self.fields["delivery_info"]["routing_key"] or "")

    @property
    def _ignores_result(self) -> bool:
        asked = self.fields.get("ignore_result")
        return bool(self.task.ignore_result if asked is None else asked)

    def _count_start(self) -> None:
        state.total_count[self.task.name] += 1
        state.all_total_count[0] += 1
        if self._shown is not None:
            self._shown.time_start = self._began
            state.active_requests.add(self._shown)

    def _forget(self) -> None:
        if self._shown is not None:
            state.task_ready(self._shown)
