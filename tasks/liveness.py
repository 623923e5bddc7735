"""Which workers consume: what a readiness probe should ask, and a ping does not tell.

A worker that answers a ping may still do nothing: its connection for jobs is stuck, or its main
loop is. So each worker writes down, every two seconds, when its main loop last looked for jobs
(`expresslane-workers`, a hash from the worker's name to JSON; times are the server's).

    celery -A tasks ready --worker worker@host      exit code 0 if it consumes, else 1
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from celery import Celery

from tasks.broker.access import reachable, server_of
from tasks.broker.holdings import Holdings
from tasks.broker.scripts import EVEN_WHEN_FULL
from tasks.celery import app

KEY = "expresslane-workers"

STALE_SECONDS = 15.0
"""A worker whose main loop has not looked for so long does not consume. It looks each second."""

FORGET_SECONDS = 86_400
"""A worker that has not been heard of for so long is listed no more."""

_BEAT = f"""
{EVEN_WHEN_FULL}
-- KEYS: workers   ARGV: name, facts as JSON, seconds until one is forgotten
even_when_full(KEYS[1])
local now = tonumber(redis.call('TIME')[1])
redis.call('HSET', KEYS[1], ARGV[1], now .. ' ' .. ARGV[2])
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  local at = tonumber(string.match(redis.call('HGET', KEYS[1], name), '^%d+'))
  if now - at > tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], name) end
end
"""


@dataclass(frozen=True)
class ConsumingWorker:
    """What one worker has said of itself last."""

    name: str
    queues: tuple[str, ...]
    held: int
    """Jobs that it has claimed and not finished."""
    silent: float
    """Seconds since its main loop last looked for jobs."""
    runs_in_loop: bool
    """Whether jobs run in the main loop itself (the solo pool), which cannot look meanwhile."""
    heard: float
    """Seconds since it was heard of at all: a thread of its own says so every two seconds."""

    @property
    def is_consuming(self) -> bool:
        """Tell whether it takes jobs, or would if it were not busy."""
        # A solo worker that was killed over a job is not busy with it.
        is_busy = self.runs_in_loop and self.held > 0 and not self.is_lost
        return bool(self.queues) and (self.silent < STALE_SECONDS or is_busy)

    @property
    def is_lost(self) -> bool:
        """Tell whether it has gone without a word: killed, frozen, or cut off from the broker.

        What it held is with others by then. It stays on the list for a day, or until a worker of
        its name starts; one that stops as it should leaves the list at once.
        """
        return self.heard >= STALE_SECONDS

    @property
    def state(self) -> str:
        """How it is in a word: `consuming`, `stuck` (alive, but takes no jobs) or `lost`."""
        if self.is_lost:
            return "lost"
        return "consuming" if self.is_consuming else "stuck"


def workers() -> tuple[ConsumingWorker, ...]:
    """Return the workers that have been heard of within a day, by name.

    Raises:
        Unreachable: when the broker did not answer.

    """
    return workers_of(app)


def workers_of(of: Celery) -> tuple[ConsumingWorker, ...]:
    """Return the workers of another app's broker, as `workers` does."""
    with reachable("ask again later"):
        server = server_of(of)
        now = int(server.client.time()[0])
        found: dict[bytes, bytes] = server.client.hgetall(server.key(KEY))  # type: ignore[assignment] # nothing decodes
    return tuple(_read(name.decode(), said, now) for name, said in sorted(found.items()))


def is_ready(worker: str | None = None, queue: str | None = None) -> bool:
    """Tell whether a worker consumes: this one, or any, and from this queue if one is given.

    Raises:
        Unreachable: when the broker did not answer.

    """
    return any(
        found.is_consuming
        for found in workers()
        if worker in (None, found.name) and (queue is None or queue in found.queues)
    )


def beat(
    holdings: Holdings, prefix: str, name: str, queues: Callable[[], list[str]], in_loop: bool
) -> Callable[[], None]:
    """Return what writes down how this worker is. The lease keeper calls it, every two seconds."""
    script = holdings.client.register_script(_BEAT)

    def write() -> None:
        facts = {
            "queues": queues(),
            "held": len(holdings.tags),
            "silent": round(monotonic() - holdings.last_look, 1),
            "in_loop": in_loop,
        }
        script([prefix + KEY], [name, json.dumps(facts), FORGET_SECONDS])

    return write


def forget(holdings: Holdings, prefix: str, name: str) -> None:
    """Take a worker that has stopped off the list."""
    holdings.client.hdel(prefix + KEY, name)


def _read(name: str, said: bytes, now: int) -> ConsumingWorker:
    at, _, facts = said.partition(b" ")
    known = json.loads(facts)
    heard = max(now - int(at), 0)
    return ConsumingWorker(
        name=name,
        queues=tuple(known["queues"]),
        held=int(known["held"]),
        # What was said some time ago is as much older now.
        silent=float(known["silent"]) + heard,
        runs_in_loop=bool(known["in_loop"]),
        heard=heard,
    )
