"""Enqueue jobs inside a transaction: they exist if and when it commits, and are never lost.

    from tasks import outbox

    outbox.use(lambda: create_engine(DATABASE_URL))      # once, where workers and web come by

    with Session(engine) as session, session.begin():
        session.add(order)
        outbox.enqueue(session, send_receipt, order_id=order.id)

The problem: a commit followed by `delay()` leaves orders without their jobs when the process dies
in between, and jobs without their orders the other way round; and a broker that is flushed, full
or restarted without its data loses hundreds. So a job is first a row in the same database, in the
same transaction (the "transactional outbox"), and the broker is only how it gets to a worker soon.

table.py       the table `job_outbox`
database.py    which database this process uses
enqueue.py     rows, in the caller's session; after the commit they go to ...
publisher.py   ... a thread that publishes them at once
relay.py       what was missed is published within two seconds, what was lost again
reconcile.py   what has become of a job that is not finished in time
once.py        a job's body runs once at a time, and its row is done with the body's own commit
claims.py      who runs it, and the commit that ends it
locks.py       how that is kept
rows.py        the statements
operating.py   for operators: `celery -A tasks outbox ...`
"""

from tasks.outbox.database import use
from tasks.outbox.enqueue import AnySession, NewRow, enqueue, new_row, publish_now, schedule
from tasks.outbox.once import finishing
from tasks.outbox.table import OutboxRow, metadata

__all__ = [
    "AnySession",
    "NewRow",
    "OutboxRow",
    "enqueue",
    "finishing",
    "metadata",
    "new_row",
    "publish_now",
    "schedule",
    "use",
]
