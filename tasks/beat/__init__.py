"""beat, which puts jobs into queues by the clock, with its memory on the broker's server.

The problem
-----------
Celery's beat counts a tick as done before it is sent, so one that meets a dead broker is lost. It
remembers its last runs in a file, so on another machine it begins anew. Two beats that run at the
same time send every tick twice.

What is done here
-----------------
For each entry there is a hash on the server, `expresslane-schedule:<name>`. A tick's message is
not published but handed to a script, which puts it into its queue and writes down that it was in
one step, if nobody has written down another tick meanwhile (`scripts.py`). So a tick is sent once,
whether an answer was lost, or two beats see it at the same time: of these, one is as good as two.

A tick that was due while no beat ran, or while the broker was away, is sent once afterwards,
however many times it was due.

scripts.py    the steps that run on the server
store.py      the entries on the server: what beat tells, and what it is told
recorder.py   makes the message of a job without sending it
scheduler.py  what `celery beat` runs
words.py      a schedule in plain words
"""
