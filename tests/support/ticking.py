"""The app with a schedule of the tests': `celery -A tests.support.ticking beat`."""

from tasks.celery import app

QUEUE = "ticks"

app.conf.beat_schedule = {
    "often": {
        "task": "tests.tick",
        "schedule": 1.0,
        "kwargs": {"word": "tick"},
        "options": {"queue": QUEUE, "ignore_result": True},
    },
}
