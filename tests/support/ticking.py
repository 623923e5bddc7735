"""The app with a schedule of the tests': `celery -A tests.support.ticking beat`."""

from tasks.celery import app
from tasks.job import Job

QUEUE = "ticks"

app.conf.beat_schedule = {
    "often": {
        "task": "tests.tick",
        "schedule": 1.0,
        "kwargs": {"word": "tick"},
        "options": {"queue": QUEUE, "ignore_result": True},
    },
}


@app.task(name="tests.tick", base=Job)
def tick(word: str) -> str:
    """Do what is due."""
    return word
