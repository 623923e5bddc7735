"""A machine that drives the outbox, its broker and its workers into any corner, one step at a time.

Its processes are what they hold: a claim, rows in a relay's hands, rows on their way to a publish.
A process that dies is one that lets go of it. Time is the machine's own.
"""

import json
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any, ClassVar

import pytest
from celery.app.trace import build_tracer
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from tasks import failures, outbox, scheduler
from tasks.broker.access import server_of
from tasks.broker.claims import Claim, Source, Sources
from tasks.broker.holdings import Holdings
from tasks.celery import app
from tasks.errors import ExpresslaneError, NoSuchFailedJob
from tasks.job import Job
from tasks.outbox import claims, operating, rows
from tasks.outbox.publishing import publish
from tasks.outbox.relay import BATCH, LEASE, SUSPECTS, Relay
from tasks.outbox.rows import Outgoing
from tasks.outbox.table import OutboxRow
from tests.support.outbox_jobs import Booking

QUEUE = "outbox-machine"

ENQUEUED = st.sampled_from(["committed", "rolled back", "savepoint rolled back"])
RUNS = st.sampled_from(
    [
        "meets another",
        "ends",
        "fails",
        "fails late",
        "asks again",
        "dies early",
        "dies late",
        "meets another",
    ]
)
WHICH = st.integers(0, 10)
"""Which of what there is, counted round."""


class Death(BaseException):
    """The end of the process that runs a body."""


@dataclass
class Worker:
    """A process that holds one claim."""

    holdings: Holdings
    claim: Claim


class OutboxMachine(RuleBasedStateMachine):
    """The model: which jobs exist, which run at this moment, and what their bodies have stored."""

    engine: ClassVar[Engine]
    current: ClassVar["OutboxMachine"]

    def __init__(self) -> None:
        super().__init__()
        OutboxMachine.current = self
        self.moment = datetime.now(UTC)
        self.committed: list[str] = []
        self.undone: list[str] = []
        self.unpublished: list[list[Outgoing]] = []
        self.workers: list[Worker] = []
        self.running: set[str] = set()
        self.behaviour = "ends"
        self.wrong: list[str] = []
        self.patches = pytest.MonkeyPatch()
        enqueueing = import_module("tasks.outbox.enqueue")
        self.patches.setattr(rows, "now", lambda: self.moment)
        self.patches.setattr(enqueueing, "now", lambda: self.moment)
        self.patches.setattr(enqueueing, "publisher", self)
        self.patches.setattr(claims, "_LOCK_SECONDS", 0.0)
        self.server = server_of(app)
        self.relays = [self._new_relay(), self._new_relay()]

    def teardown(self) -> None:
        try:
            self._finish()
        finally:
            self.patches.undo()
            self._forget_everything()

    @initialize()
    def begin_with_two_jobs(self) -> None:
        """Start with one that is published and one that is not: there is something to lose."""
        self._forget_everything()
        with self.engine.begin() as connection:
            connection.execute(delete(OutboxRow))
            connection.execute(delete(Booking))
        self.enqueue("committed")
        self.go_on_after_a_commit("publishes")
        self.enqueue("committed")

    # -- the caller's process ----------------------------------------------------------------------

    @rule(how=ENQUEUED)
    def enqueue(self, how: str) -> None:
        with Session(self.engine) as session:
            if how == "savepoint rolled back":
                inner = session.begin_nested()
                self.undone.append(self._schedule(session))
                inner.rollback()
            job_id = self._schedule(session)
            if how == "rolled back":
                session.rollback()
                self.undone.append(job_id)
            else:
                session.commit()
                self.committed.append(job_id)

    def publish(self, committed: list[Outgoing]) -> None:
        """Stand in for the publisher's thread: what it got waits until a rule goes on."""
        if committed:
            self.unpublished.append(committed)

    @precondition(lambda self: self.unpublished)
    @rule(how=st.sampled_from(["publishes", "dies before", "dies before the note"]))
    def go_on_after_a_commit(self, how: str) -> None:
        part = self.unpublished.pop(0)
        if how == "dies before":
            return
        published = publish(app, part)
        if how == "publishes":
            rows.mark_published(self.engine, published)

    # -- relays ------------------------------------------------------------------------------------

    @rule(which=st.integers(0, 1))
    def tick(self, which: int) -> None:
        self.relays[which].tick()

    @rule(which=st.integers(0, 1), published=st.booleans())
    def relay_dies_with_rows_in_its_hands(self, which: int, published: bool) -> None:
        rows.lease_due(self.engine, SUSPECTS if published else BATCH, LEASE, published=published)
        self.relays[which] = self._new_relay()

    @rule(which=st.integers(0, 1))
    def relay_dies_before_the_note(self, which: int) -> None:
        publish(app, rows.lease_due(self.engine, BATCH, LEASE, published=False))
        self.relays[which] = self._new_relay()

    @rule(seconds=st.sampled_from([1, 3, 6, 61]))
    def time_passes(self, seconds: int) -> None:
        self.moment += timedelta(seconds=seconds)

    # -- workers -----------------------------------------------------------------------------------

    @rule()
    def claim(self) -> None:
        """Have a worker that takes a job, and does nothing yet."""
        holdings = Holdings(self.server.client, self.server.keys)
        found = holdings.claim(Sources([Source(QUEUE, self.server.queue_key(QUEUE), 0)]), 1)
        self.workers += [Worker(holdings, claim) for claim in found if isinstance(claim, Claim)]

    @rule(behaviour=RUNS, which=WHICH, dies=st.booleans())
    def work(self, behaviour: str, which: int, dies: bool) -> None:
        """Run what a worker has claimed, whoever else has it by now; it may die before its ack."""
        if not self.workers:
            self.claim()
        if not self.workers:
            return
        worker = self.workers.pop(which % len(self.workers))
        self.behaviour = behaviour
        with suppress(Death):
            self._run(worker, acknowledges=not dies)

    @rule()
    def two_deliveries_meet(self) -> None:
        """Have a job delivered anew while its body runs. By chance alone this would be rare."""
        self.enqueue("committed")
        self._publish_by_hand(self.committed[-1])
        self.behaviour = "meets another"
        self._work_off()

    @precondition(lambda self: self.workers)
    @rule(which=WHICH)
    def worker_dies(self, which: int) -> None:
        self.workers.pop(which % len(self.workers))

    @rule()
    def leases_end(self) -> None:
        """Take back all that anybody holds, the living included: those were frozen."""
        Holdings(self.server.client, self.server.keys).take_from_the_dead(0)

    # -- the broker --------------------------------------------------------------------------------

    @rule()
    def broker_forgets_all(self) -> None:
        self._forget_everything()

    @rule(key=st.sampled_from([QUEUE, "unacked", "unacked_index"]))
    def broker_loses_a_key(self, key: str) -> None:
        self.server.client.delete(key)

    # -- somebody else -----------------------------------------------------------------------------

    @precondition(lambda self: self.committed)
    @rule(which=WHICH)
    def deliver_once_more(self, which: int) -> None:
        self._publish_by_hand(self.committed[which % len(self.committed)])

    @precondition(lambda self: self.undone)
    @rule(which=WHICH)
    def publish_a_job_that_was_rolled_back(self, which: int) -> None:
        job_id = self.undone[which % len(self.undone)]
        row = outbox.new_row("outbox.machine", queue=QUEUE, job_id=job_id)
        publish(app, [Outgoing(**{name: row[name] for name in Outgoing.__dataclass_fields__})])  # type: ignore[literal-required] # some of the row's

    @precondition(lambda self: self.committed)
    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        with suppress(ExpresslaneError):
            scheduler.cancel(self.committed[which % len(self.committed)])

    @precondition(lambda self: self.committed)
    @rule(which=WHICH)
    def retry_a_failed_job(self, which: int) -> None:
        with suppress(NoSuchFailedJob):
            failures.retry(self.committed[which % len(self.committed)])

    # -- what must be ------------------------------------------------------------------------------

    @invariant()
    def no_body_runs_that_must_not(self) -> None:
        assert not self.wrong

    @invariant()
    def no_body_has_stored_its_work_twice(self) -> None:
        with Session(self.engine) as session:
            counts = select(Booking.job_id, func.count()).group_by(Booking.job_id)
            stored = {row[0]: row[1] for row in session.execute(counts)}
        assert max(stored.values(), default=1) == 1, stored
        assert set(stored) <= set(self.committed)

    @invariant()
    def what_was_rolled_back_is_no_row_and_what_was_committed_is_one(self) -> None:
        with Session(self.engine) as session:
            assert set(session.scalars(select(OutboxRow.id))) == set(self.committed)

    def _finish(self) -> None:
        """Let the world be kind: every committed row must come to its end."""
        self.behaviour = "ends"
        for _ in range(8):
            self.moment += timedelta(seconds=61)
            for relay in self.relays:
                relay.tick()
            self.workers.clear()
            self.leases_end()
            self._work_off()
            if not operating.unfinished():
                break
        left = operating.unfinished()
        assert not left, [(row.id, row.run, row.attempts, row.error) for row in left]
        self.no_body_has_stored_its_work_twice()
        self.no_body_runs_that_must_not()
        for job_id in self.committed:
            row = operating.find(job_id)
            assert row is not None
            # A body that has stored its work is complete, and one that is complete has.
            assert (row.outcome == rows.COMPLETE) == bool(self._bookings(job_id)), row.outcome

    # -- how ---------------------------------------------------------------------------------------

    def body(self, job: Job) -> str:
        """Do what a run of a body does; called within a real run."""
        job_id = job.job_id
        # An assertion here would be one more job that fails.
        if job_id not in self.committed:
            self.wrong.append(f"{job_id} was rolled back and runs")
        if job_id in self.running:
            self.wrong.append(f"{job_id} runs twice at once")
        self.running.add(job_id)
        try:
            return self._behave(job, job_id)
        finally:
            self.running.discard(job_id)

    def _behave(self, job: Job, job_id: str) -> str:
        behaviour, self.behaviour = self.behaviour, "ends"
        if behaviour == "dies early":
            raise Death
        if behaviour == "asks again":
            raise job.retry(countdown=0)
        if behaviour == "fails":
            raise ValueError("fails")
        if behaviour == "meets another":
            self._publish_by_hand(job_id)
            self._work_off()
        with outbox.finishing(job, "done") as session:
            session.add(Booking(job_id=job_id))
        if behaviour == "dies late":
            raise Death
        if behaviour == "fails late":
            raise ValueError("fails late")
        return "done"

    def _schedule(self, session: Session) -> str:
        return outbox.schedule(session, "outbox.machine", queue=QUEUE)

    def _new_relay(self) -> Relay:
        return Relay(app, self.engine, lambda: self.moment.timestamp())  # noqa: PLW0108 (the moment changes)

    def _publish_by_hand(self, job_id: str) -> None:
        row = operating.find(job_id)
        assert row is not None
        names = Outgoing.__dataclass_fields__
        publish(app, [Outgoing(**{name: getattr(row, name) for name in names})])

    def _run(self, worker: Worker, *, acknowledges: bool) -> None:
        """Run a claimed message as Celery's pool does."""
        message = json.loads(worker.claim.message)
        args, kwargs, _ = json.loads(b64decode(message["body"]))
        request = {
            **message["headers"],
            "args": args,
            "kwargs": kwargs,
            "hostname": "machine",
            "is_eager": False,
            "deaths": worker.claim.deaths,
            "delivery_info": {"routing_key": QUEUE, "exchange": "", "priority": 0},
            "properties": {**message["properties"], "delivery_tag": worker.claim.tag},
        }
        task = app.tasks[message["headers"]["task"]]
        trace: Callable[..., Any] = build_tracer(task.name, task, app=app)
        _, info, _, _ = trace(message["headers"]["id"], args, kwargs, request)
        if not acknowledges:
            return
        if info is not None and info.state == "REJECTED" and info.retval.requeue:
            worker.holdings.give_back([worker.claim.tag], to_end=True)
            return
        worker.holdings.acknowledge(worker.claim.tag)
        worker.holdings.flush()

    def _work_off(self) -> None:
        """Run all that is claimed or queued, one after the other."""
        self.claim()
        while self.workers:
            self._run(self.workers.pop(), acknowledges=True)
            self.claim()

    def _bookings(self, job_id: str) -> int:
        with Session(self.engine) as session:
            found = select(func.count()).where(Booking.job_id == job_id)
            return session.scalar(found) or 0

    def _forget_everything(self) -> None:
        """Do what FLUSHALL does, but for what other tests' workers need to be spoken to."""
        kept = (b"_kombu.binding", b"expresslane-workers")
        keys = [key for key in self.server.client.scan_iter() if not key.startswith(kept)]
        if keys:
            self.server.client.delete(*keys)


@app.task(name="outbox.machine", base=Job, bind=True)
def machine_body(self: Job) -> str:
    """Hand over to the machine that runs."""
    return OutboxMachine.current.body(self)
