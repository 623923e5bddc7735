"""The load as jobs of this project: `celery -A tasks worker -I tests.faults.jobs`."""

from tasks.celery import app
from tasks.job import Job
from tests.faults import bodies


@app.task(name="faults.work", base=Job, bind=True)
def work(self: Job, number: int, seconds: float, again: int = 0) -> int:
    """Work for some seconds, then have an effect."""
    return bodies.carry_out(self, number, seconds, again)


@app.task(name="faults.die", base=Job, bind=True)
def die(self: Job, number: int, how: str) -> None:
    """Kill the process that runs this."""
    bodies.die(self, number, how)
