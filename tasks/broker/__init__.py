"""A transport for kombu that cannot lose a job, on the Redis keys that kombu has always used.

The problem
-----------
Kombu's own transport takes a message with BRPOP, and only then writes down that it has it. A worker
that is killed in between takes the message with it: in 44 of 60 kills of a busy prefork worker. And
what it did write down, others may take back only after an hour, because nobody can tell a dead
worker from one that is busy.

What is done here
-----------------
A claim is one script on the server: it takes messages off their lists and records them in
`unacked` in the same step (`scripts.py`). Whoever dies, at whatever moment, a message is in a
list or on record.

A claim is a lease. While the worker lives, a thread of its own renews what it holds
(`leases.py`). What was not renewed for `lease` seconds goes back to its queue, by whichever
worker looks first. So a long job needs no long timeout, and a dead worker's jobs come back in
seconds.

Each claim gets a delivery tag of its own. A worker that was frozen past its lease and comes back
holds a tag that means nothing any more: it cannot acknowledge the newer claim of somebody else.

Workers that find nothing wait on `<queue>.bell`, a short list of tokens that a publish leaves
there. Tokens may get lost; then a worker looks again a second later, which is also how it finds
what a stock Celery producer, who knows of no bell, has sent.

scripts.py     the steps that run on the server
holdings.py    what this process holds: claim, acknowledge, give back
leases.py      the thread that renews, and takes back from the dead
envelope.py    a message, read with suspicion
wire.py        one kept connection, for one script after the other
kinds.py       which calls make messages that are alike
pattern.py     the second and all later messages of a kind, made from the first
gaps.py        texts with gaps, which patterns are; jsontext.py and uuids.py, what fills them
learning.py    how a pattern is made of the first message; making.py, that message
told.py        the event of a message, alone or with many
marks.py       the mark of a job that waits
command.py     all of these as one command for the server
connections.py a connection out of the pool
batch.py       two ways to send: at once, or together with others in one trip
sender.py      what Celery is given in the place of a producer
bulk.py        many jobs of different tasks, for the outbox
channel.py     kombu's channel on top of these; qos.py, what it has delivered
transport.py   kombu's transport
"""
