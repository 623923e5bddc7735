"""Has the broker forgotten anything? A number that changes whenever it may have.

A server loses what it held when it is flushed, when it is started again without all of its data,
when another one takes its place, and when it evicts keys to make room. So three things are watched:
a key of our own, which goes with everything else; the id that a server gives itself at each start;
and its count of evicted keys.
"""

from dataclasses import dataclass
from uuid import uuid4

import redis

from tasks.broker.access import Server

KEY = "expresslane-epoch"


@dataclass(frozen=True)
class Memory:
    """What a server is known by. Another one means that it may have forgotten something."""

    epoch: str
    run_id: str
    evicted: int


def memory_of(server: Server) -> Memory:
    """Return the server's memory, now. Makes the key where there is none.

    Raises:
        redis.RedisError: when the server did not answer, or is full and has lost the key.

    """
    key = server.key(KEY)
    epoch = server.client.get(key)
    if epoch is None:
        server.client.set(key, uuid4().hex, nx=True)
        epoch = server.client.get(key)
    try:
        facts = {**server.client.info("server"), **server.client.info("stats")}
    except redis.exceptions.NoPermissionError:
        # Not allowed to this user: then the key has to do.
        facts = {}
    return Memory(str(epoch), str(facts.get("run_id")), int(facts.get("evicted_keys", 0)))
