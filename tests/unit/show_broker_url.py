"""The app, for `celery -A`: when the command ends, it prints where it would look for its broker."""

import atexit

from tasks.celery import app as app  # noqa: PLC0414 (Celery looks for it here)

atexit.register(lambda: print("in use:", app.conf.broker_read_url))  # noqa: T201 (its purpose)
