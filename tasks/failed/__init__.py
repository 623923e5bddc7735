"""Failed jobs, kept until somebody retries or discards them.

A job that has failed for good moves from the claims of its worker to the failed jobs in one step
on the broker's server. So, whatever is killed at whatever moment, a job is in its queue, or a
worker holds it, or it is here: in one of the three. A retry is one step as well, the other way.

For the same reason the failed jobs live on the broker's server, whichever server keeps results.
What is kept is the very message that was claimed, so a retried job is the job that was sent: its
arguments, its place in a chain, group or chord, its callbacks, its headers.

record.py    what the result backend calls when a job fails
job.py       a failed job, as one reads it
message.py   its message: read it, make it run again
retrying.py  many of them
store.py     the failed jobs on the server
scripts.py   the steps that run there
options.py, action.py, screen.py   what `celery -A tasks failed` takes, does and prints

To look at failed jobs, and to retry or discard them: `tasks/failures.py`, `tasks/cli.py`.
"""
