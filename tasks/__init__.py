"""Background jobs on Celery and Redis, with Resque's simple model.

tasks/celery.py     the Celery app, which `celery -A tasks ...` finds
tasks/job.py        Job, what every task is
tasks/scheduler.py  schedule a job by name, ask for its status, cancel it
tasks/failures.py   list, show, retry and discard failed jobs; how they are kept: tasks/failed/
tasks/queues.py     the queues: how each is, pause and resume
tasks/pending.py    list, show, edit, move and remove the jobs that wait; how: tasks/queued/
tasks/schedule.py   what beat sends by the clock: list, run now, pause; how: tasks/beat/
tasks/cli*.py       all that in a terminal: `celery -A tasks failed|queue|schedule ...`
tasks/watch.py      follow jobs as they change
tasks/states.py     the states of a job
tasks/errors.py     the errors
tasks/results.py    where states and data are kept
tasks/tracing.py    the request's id in every log line that the request causes
tasks/enqueued.py   when a job was put into its queue
tasks/lean.py       a worker without what it has no use for
tasks/sharing.py    what the processes of a worker share
tasks/work/         three sample jobs
"""
