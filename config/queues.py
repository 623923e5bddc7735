"""The queues of this project. A job names one of them; a worker is told which to work on."""

from kombu import Exchange, Queue

DEFAULT = "default"

# One direct exchange for all: a queue's name is its routing key, so a message that some other
# Celery program sends to a queue by its name arrives there too.
_exchange = Exchange("jobs", type="direct")


def queue(name: str) -> Queue:
    """Return a durable queue of this name."""
    return Queue(name, exchange=_exchange, routing_key=name)


QUEUES = (queue(DEFAULT), queue("high"), queue("low"))
"""`celery -A tasks worker -Q high,default,low` works on them in that order."""
