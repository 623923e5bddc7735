"""Background jobs on Celery and Redis, with Resque's simple model.

tasks/celery.py     the Celery app, which `celery -A tasks ...` finds
tasks/job.py        Job, what every task is
tasks/scheduler.py  schedule a job by name, ask for its status, cancel it
tasks/failures.py   list, show, retry and discard failed jobs; how they are kept: tasks/failed/
tasks/cli.py        the same in a terminal: `celery -A tasks failed ...`
tasks/watch.py      follow jobs as they change
tasks/states.py     the states of a job
tasks/errors.py     the errors
tasks/results.py    where states and data are kept
tasks/tracing.py    the request's id in every log line that the request causes
tasks/work/         three sample jobs
"""
