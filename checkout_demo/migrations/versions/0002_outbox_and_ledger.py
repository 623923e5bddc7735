"""The outbox of jobs, and what a ledger of effects needs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the outbox, and let each effect keep its answer."""
    _make_job_outbox()
    with op.batch_alter_table("order_effect") as order_effect:
        order_effect.add_column(sa.Column("response", sa.Text()))
    # What an operator looks for: effects that are not done, hopefully few; and the newest orders.
    _make_partial_index("ix_order_effect_not_done", "order_effect", "order_id", "done_at IS NULL")
    op.create_index("ix_order_created_at", "order", ["created_at"])


def downgrade() -> None:
    """Drop them again. Jobs that are in the outbox alone are lost by it."""
    op.drop_index("ix_order_created_at", "order")
    op.drop_index("ix_order_effect_not_done", "order_effect")
    with op.batch_alter_table("order_effect") as order_effect:
        order_effect.drop_column("response")
    op.drop_table("job_outbox")


def _make_job_outbox() -> None:
    op.create_table(
        "job_outbox",
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("task", sa.String(255), nullable=False),
        sa.Column("queue", sa.String(255)),
        sa.Column("priority", sa.Integer()),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("run_at", _moment),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("due_at", _moment, nullable=False),
        sa.Column("published_at", _moment),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("first_started_at", _moment),
        sa.Column("started_at", _moment),
        sa.Column("finished_at", _moment),
        sa.Column("outcome", sa.String(16)),
        sa.Column("result", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.CheckConstraint(
            "(finished_at IS NULL) = (outcome IS NULL)", name="ck_job_outbox_finished_with_outcome"
        ),
        sa.PrimaryKeyConstraint("id", name="job_outbox_pkey"),
    )
    _make_partial_index("ix_job_outbox_due_at", "job_outbox", "due_at", "finished_at IS NULL")
    op.create_index("ix_job_outbox_finished_at", "job_outbox", ["finished_at"])
    _make_partial_index(
        "ix_job_outbox_failed_at", "job_outbox", "finished_at", "outcome = 'failed'"
    )


def _make_partial_index(name: str, table: str, column: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, [column], postgresql_where=where, sqlite_where=where)
