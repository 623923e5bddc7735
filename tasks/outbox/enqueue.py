"""Enqueue jobs in the transaction of the caller's own session."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict
from uuid import uuid4

from celery import Task
from kombu.utils.json import dumps
from sqlalchemy import Engine, event, inspect
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, SessionTransaction, scoped_session

from config import bound as log_fields
from config.queues import DEFAULT
from tasks import carried, scheduler
from tasks.celery import app
from tasks.envelopes import refuse_envelopes
from tasks.errors import BadJob
from tasks.outbox.publisher import publisher
from tasks.outbox.rows import UNPUBLISHED_DUE, Outgoing, now
from tasks.outbox.table import ID_LENGTH, NAME_LENGTH, OutboxRow
from tasks.results import JSON
from tasks.tracing import HEADER

AnySession = Session | scoped_session[Session] | AsyncSession | async_scoped_session[AsyncSession]

_PENDING = "expresslane_outbox"
"""Where a session keeps what was enqueued in its transaction."""


class NewRow(TypedDict):
    """The values of a new row, for whoever inserts it without SQLAlchemy."""

    id: str
    task: str
    queue: str | None
    priority: int | None
    data: str
    headers: str
    run_at: datetime | None
    created_at: datetime
    due_at: datetime
    run: int
    attempts: int


def enqueue(session: AnySession, task: Task[..., Any] | str, /, **data: JSON) -> str:
    """Enqueue a job in the session's transaction, and return its id.

    The job exists if and when the transaction commits. Then it is published at once, from a thread
    of this process; if that fails or this process dies, a relay publishes it within two seconds.
    Nothing here waits for the broker.

    Args:
        session: any of SQLAlchemy's sessions, asynchronous ones included.
        task: the task, or its name.
        **data: the job's data, as in `task.delay(**data)`.

    Raises:
        BadJob: when task or data cannot make a job; nothing was added to the session.

    """
    return schedule(session, task, data)


def schedule(
    session: AnySession,
    task: Task[..., Any] | str,
    data: Mapping[str, JSON] | None = None,
    *,
    queue: str | None = None,
    job_id: str | None = None,
    priority: int | None = None,
    run_at: datetime | None = None,
) -> str:
    """Enqueue a job as `enqueue` does, with options.

    Args:
        session: any of SQLAlchemy's sessions, asynchronous ones included.
        task: the task, or its name.
        data: the job's data.
        queue: a queue; by default the one that the task or the app's routes name.
        job_id: an id of the caller's own; a new UUID by default.
        priority: 0, the highest, to 9.
        run_at: not before this moment, which must have a zone.

    Raises:
        BadJob: when these cannot make a job; nothing was added to the session.

    """
    values = new_row(task, data, queue=queue, job_id=job_id, priority=priority, run_at=run_at)
    row = OutboxRow(**values)
    real = _real(session)
    real.add(row)
    _publish_after_commit(real, row, _outgoing(values))
    return values["id"]


def new_row(
    task: Task[..., Any] | str,
    data: Mapping[str, JSON] | None = None,
    *,
    queue: str | None = None,
    job_id: str | None = None,
    priority: int | None = None,
    run_at: datetime | None = None,
) -> NewRow:
    """Return the values of a row, checked, for whoever inserts it without SQLAlchemy.

    Insert them into `job_outbox` in your transaction, and call `publish_now([row])` when it has
    committed; without that call, a relay publishes the job within two seconds.

    Raises:
        BadJob: when these cannot make a job.

    """
    name = task if isinstance(task, str) else task.name
    scheduler.check(name, data, queue or DEFAULT)
    refuse_envelopes(data, name)
    _check_lengths(id=(job_id, ID_LENGTH), task=(name, NAME_LENGTH), queue=(queue, NAME_LENGTH))
    _check_call(task, data or {})
    if run_at is not None and run_at.tzinfo is None:
        raise BadJob(f"{name}: run_at must say its time zone, unlike {run_at}")
    if priority is not None and priority not in range(10):
        raise BadJob(f"{name}: a priority is 0, the highest, to 9, not {priority}")
    request_id = log_fields.bound(HEADER)
    moment = now()
    return NewRow(
        id=job_id or str(uuid4()),
        task=name,
        queue=queue,
        priority=priority,
        data=dumps(dict(data or {})),
        headers=dumps({**({HEADER: request_id} if request_id else {}), **carried.taken()}),
        run_at=run_at,
        created_at=moment,
        due_at=moment + UNPUBLISHED_DUE,
        run=0,
        attempts=0,
    )


def publish_now(rows: list[NewRow]) -> None:
    """Publish rows whose transaction has committed, from a thread of this process."""
    publisher.publish([_outgoing(row) for row in rows])


def _outgoing(values: NewRow) -> Outgoing:
    return Outgoing(**{name: values[name] for name in Outgoing.__dataclass_fields__})  # type: ignore[literal-required] # its fields are some of the row's


def _check_lengths(**texts: tuple[str | None, int]) -> None:
    for name, (text, longest) in texts.items():
        if text is not None and len(text) > longest:
            raise BadJob(f"{name} has {len(text)} characters; the outbox holds {longest}")


def _check_call(task: Task[..., Any] | str, data: Mapping[str, JSON]) -> None:
    """Check the data against the parameters of the body, where its code is here."""
    known = app.tasks.get(task) if isinstance(task, str) else task
    if known is None or not known.typing:
        return
    try:
        getattr(known, "__header__")(**data)  # noqa: B009 (not in the stubs)
    except TypeError as error:
        raise BadJob(f"{known.name}: {error}") from error


# -- the session -----------------------------------------------------------------------------------


def _real(session: AnySession) -> Session:
    """Return the session whose transaction it is."""
    if isinstance(session, (scoped_session, async_scoped_session)):
        session = session()
    return session.sync_session if isinstance(session, AsyncSession) else session


def _publish_after_commit(session: Session, row: OutboxRow, outgoing: Outgoing) -> None:
    if _PENDING not in session.info:
        session.info[_PENDING] = []
        event.listen(session, "after_commit", _on_commit)
        event.listen(session, "after_transaction_end", _on_end)
    session.info[_PENDING].append((row, outgoing))


def _on_commit(session: Session) -> None:
    """Publish what is stored now. SQLAlchemy calls this for savepoints as well, too early."""
    pending = session.info[_PENDING]
    if not pending or session.in_nested_transaction() or _is_part_of_another(session):
        return
    # What a savepoint has rolled back is in the session no more.
    stored = [outgoing for row, outgoing in pending if inspect(row).persistent]
    pending.clear()
    publisher.publish(stored)


def _on_end(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info[_PENDING].clear()


def _is_part_of_another(session: Session) -> bool:
    """Tell whether the session works within a transaction that somebody else will commit."""
    bind = session.get_bind(OutboxRow)
    return not isinstance(bind, Engine) and bind.in_transaction()
