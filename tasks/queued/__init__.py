"""How one looks into queues, and changes what waits there, beside working workers.

job.py       a waiting message as one reads it, and what names it
scripts.py   the steps that run on the server
store.py     the queues' lists on the server: looked at in parts, found again, changed
delayed.py   the same for what waits for its time
"""
