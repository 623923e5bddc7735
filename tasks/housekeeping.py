"""What has to be done now and then, whatever the jobs do. beat has it done: see celeryconfig.py."""

from config.settings import framework_settings
from tasks import failures
from tasks.celery import app
from tasks.job import Job


@app.task(name="tasks.prune", base=Job)
def prune() -> dict[str, int]:
    """Discard failed jobs that are older than `FAILED_JOBS_MAX_AGE`; return how many were.

    The limit comes into force with each new failure too, so this is for when there are none.
    """
    age = float(framework_settings().failed_jobs_max_age)
    return {"discarded": failures.discard_many(failures.Filter(older_than=age)).done}
