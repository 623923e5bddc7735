"""The table of jobs that were enqueued in a transaction, and how to make it.

With Alembic, add `tasks.outbox.table.metadata` to the `target_metadata` of your `env.py`, or write
the migration by hand as `checkout_demo/migrations/versions/` does. Without migrations,
`metadata.create_all(engine)` makes it.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ID_LENGTH = 255
"""Characters of a job's id, at most; those made here have 36."""

NAME_LENGTH = 255
"""Characters of a task's or a queue's name, at most."""


class Utc(TypeDecorator[datetime]):
    """A moment in UTC. SQLite forgets the zone, so it is put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's)
        """Turn any moment into UTC; one without a zone raises ValueError."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value} says no time zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's)
        """Return the moment with its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _Base(DeclarativeBase):
    metadata = MetaData()


class OutboxRow(_Base):
    """One job that was enqueued in a transaction."""

    __tablename__ = "job_outbox"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    """The job's id."""
    task: Mapped[str] = mapped_column(String(NAME_LENGTH))
    queue: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    """None: the one that the task's own options or the routes of the app name."""
    priority: Mapped[int | None]
    data: Mapped[str] = mapped_column(Text)
    """The named arguments, as the JSON that a message carries."""
    headers: Mapped[str] = mapped_column(Text, default="{}")
    """What goes along in the message's headers, such as the request's id; JSON."""
    run_at: Mapped[datetime | None] = mapped_column(Utc)
    """Not before this moment; None for at once."""
    created_at: Mapped[datetime] = mapped_column(Utc)
    due_at: Mapped[datetime] = mapped_column(Utc)
    """When a relay is to look at the row: to publish it, or to ask what has become of it.

    A relay that works on a row sets it ahead, which keeps the others away for a while: its lease.
    """
    published_at: Mapped[datetime | None] = mapped_column(Utc)
    run: Mapped[int] = mapped_column(Integer, default=0)
    """The number of the newest run: a publication after a loss begins a new one, as does a retry
    from the failed jobs. The result backend tells new runs from old ones by it."""
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    """How often its body was begun."""
    first_started_at: Mapped[datetime | None] = mapped_column(Utc)
    """When its body was begun for the first time."""
    started_at: Mapped[datetime | None] = mapped_column(Utc)
    """When its body was begun last."""
    finished_at: Mapped[datetime | None] = mapped_column(Utc)
    outcome: Mapped[str | None] = mapped_column(String(16))
    """`complete`, `failed` or `cancelled`; None while it is not finished."""
    result: Mapped[str | None] = mapped_column(Text)
    """What the body returned, as JSON."""
    error: Mapped[str | None] = mapped_column(Text)
    """The last error: of a failure, or of an attempt that another one follows."""

    __table_args__ = (
        CheckConstraint(
            "(finished_at IS NULL) = (outcome IS NULL)", name="ck_job_outbox_finished_with_outcome"
        ),
        # What a relay asks for twice a second: it stays as small as the work that is left.
        Index(
            "ix_job_outbox_due_at",
            "due_at",
            postgresql_where=text("finished_at IS NULL"),
            sqlite_where=text("finished_at IS NULL"),
        ),
        # What pruning asks for.
        Index("ix_job_outbox_finished_at", "finished_at"),
        # What an operator asks for: hopefully empty.
        Index(
            "ix_job_outbox_failed_at",
            "finished_at",
            postgresql_where=text("outcome = 'failed'"),
            sqlite_where=text("outcome = 'failed'"),
        ),
    )


metadata = _Base.metadata
"""Holds this table and nothing else."""
