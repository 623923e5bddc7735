"""The whole store under faults: web, workers, relays, ERP, mail, broker and database, all real.

`python -m tests.storefaults` is the long version, a part of `make faults`; the short one runs with
the other tests.

world.py      the processes, each of which can be killed, frozen and started again
web.py        the store's web server, with a moment at which it can be told to die
bodies.py     the store's jobs, with each run of a body written down
customers.py  who orders all the time
faults.py     what is done to whom
campaign.py   faults at moments that a seed decides, and how long it takes until all is well
audit.py      what was ordered, against what the ERP and the mail server have
"""
