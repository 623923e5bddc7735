"""The short way of a plain job through a worker of threads, or without a pool.

Celery makes five objects for each job, asks each of them for what is the same for all jobs, and
calls what may be listening whether or not anybody does: two thirds of what a short job costs. Most
jobs need none of it: they are due, belong to no chord, their task has no hooks, no event of theirs
is to be sent, and nobody has connected a signal. Those are run here, with the same outcome at each
station: the claim, the cancelled and the revoked, the request that the body sees, log lines,
states, counts, acknowledgement.

Whatever is not plain goes Celery's way, before anything is done (`conditions.py` and `plain.py`
tell what that is). And a job whose body raises anything goes Celery's way from there on
(`celerys_way.py`): Celery's tracer runs it with a body that raises the same. So retries, failures,
rejections and lost workers are handled in one place, for all.
"""
