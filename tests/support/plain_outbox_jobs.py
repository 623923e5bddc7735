"""Jobs of an outbox that tell by which way they came: see `tests/support/plain_jobs.py`."""

from tasks import outbox
from tasks.celery import app
from tasks.job import Job
from tests.support.outbox_jobs import Booking, MayPass
from tests.support.plain_jobs import note_way
from tests.support.plain_outcomes import Refused


@app.task(
    name="plain.book",
    base=Job,
    bind=True,
    autoretry_for=(MayPass,),
    retry_backoff=0,
    default_retry_delay=0,
)
def book(self: Job, then: str) -> dict[str, str]:
    """Store a booking in one commit with the row's end; before that, fail or ask again."""
    note_way(self)
    if then == "fail":
        raise Refused("not booked")
    if then == "memory" and note_way(self) == 2:
        raise MemoryError("no more")
    if then == "retry" and not self.request.retries:
        raise MayPass("not yet")
    with outbox.finishing(self, {"then": then}) as session:
        session.add(Booking(job_id=self.job_id))
    if then == "fail late":
        raise Refused("it is booked all the same")
    return {"then": then}
