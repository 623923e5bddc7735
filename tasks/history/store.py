"""What the broker's server keeps of what became of jobs, and how it is read.

`expresslane-history-minute-<n>` and `-hour-<n>` are hashes from task and queue to JSON, of the
minute or hour n since 1970; `expresslane-history-total` is the same since counting began.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import redis
from celery import Celery

from tasks.broker.access import reachable, server_of
from tasks.history import tally
from tasks.history.tally import OTHER, WORKERS, Counts, Series, Tally, tally_of

MOST_SERIES = 200
"""Pairs of task and queue that are kept in one bucket, and in the totals."""

LONGEST_NAME = 100
"""Characters of a task's or a queue's name that are kept."""

SEPARATOR = "\x1f"
"""What stands between task and queue: ASCII's unit separator, which no name has."""

MINUTES_KEPT = 6 * 60 + 10
HOURS_KEPT = 14 * 24 + 1

TOTAL = "expresslane-history-total"

_ADD = """
-- KEYS: the last flush of this worker, totals
-- ARGV: how the keys of minutes and of hours begin, seconds to keep those, most series, the series
--       for the rest, number of this flush, then in pairs: series, JSON of what to add
if redis.call('GET', KEYS[1]) == ARGV[7] then return 0 end
redis.call('SET', KEYS[1], ARGV[7], 'EX', 3600)
local now = tonumber(redis.call('TIME')[1])
local most, rest = tonumber(ARGV[5]), ARGV[6]

-- In the totals, what was not heard of for 30 days makes room.
local function make_room(key)
  for _, name in ipairs(redis.call('HKEYS', key)) do
    local known = cjson.decode(redis.call('HGET', key, name))
    if now - (known.at or 0) > 2592000 then redis.call('HDEL', key, name) end
  end
end

local function add(key, keep)
  for i = 8, #ARGV, 2 do
    local name, more = ARGV[i], cjson.decode(ARGV[i + 1])
    local stored = redis.call('HGET', key, name)
    if not stored and redis.call('HLEN', key) >= most then
      if not keep then make_room(key) end
      if redis.call('HLEN', key) >= most then
        name = rest
        stored = redis.call('HGET', key, name)
      end
    end
    local sum = stored and cjson.decode(stored) or {}
    for field, number in pairs(more) do sum[field] = (sum[field] or 0) + number end
    if not keep then sum.at = now end
    redis.call('HSET', key, name, cjson.encode(sum))
  end
  if keep then redis.call('EXPIRE', key, keep) end
end

add(ARGV[1] .. math.floor(now / 60), ARGV[3])
add(ARGV[2] .. math.floor(now / 3600), ARGV[4])
add(KEYS[2])
return 1
"""


@dataclass(frozen=True)
class Period:
    """A time that is looked back over, and in what steps."""

    name: str
    title: str
    step: timedelta
    """What one bucket that is read stands for."""
    buckets: int
    unit: str
    """`minute` or `hour`: the buckets that are kept, of which each step has one or several."""

    @property
    def per_bucket(self) -> int:
        """How many kept buckets make one."""
        return int(self.step.total_seconds()) // _SECONDS[self.unit]


_SECONDS = {"minute": 60, "hour": 3_600}

HOUR = Period("1h", "last hour", timedelta(minutes=1), 60, "minute")
SIX_HOURS = Period("6h", "last 6 hours", timedelta(minutes=5), 72, "minute")
DAY = Period("1d", "last day", timedelta(hours=1), 24, "hour")
WEEK = Period("7d", "last 7 days", timedelta(hours=3), 56, "hour")
TWO_WEEKS = Period("14d", "last 14 days", timedelta(hours=6), 56, "hour")
PERIODS = {period.name: period for period in (HOUR, SIX_HOURS, DAY, WEEK, TWO_WEEKS)}


@dataclass(frozen=True)
class Bucket:
    """What was counted in one step of a period."""

    at: datetime
    """Its beginning, in UTC."""
    counts: Mapping[Series, Counts]

    @property
    def series(self) -> dict[Series, Tally]:
        """What was counted of each task in each queue."""
        return {series: tally_of([counts]) for series, counts in self.counts.items()}

    def total(self, *, task: str | None = None, queue: str | None = None) -> Tally:
        """Return what was counted of this task and this queue; of all by default."""
        return total([self], task=task, queue=queue)


def total(buckets: Iterable[Bucket], *, task: str | None = None, queue: str | None = None) -> Tally:
    """Return what was counted in these buckets of this task and this queue; of all by default."""
    return tally_of(
        counts
        for bucket in buckets
        for series, counts in bucket.counts.items()
        if task in (None, series.task) and queue in (None, series.queue)
    )


class History:
    """What became of the jobs of one app."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def read(self, period: Period = HOUR) -> tuple[Bucket, ...]:
        """Return the buckets of the period, the oldest first; the last one is not over yet.

        Raises:
            Unreachable: when the broker did not answer.

        """
        with reachable("ask again later"):
            server = server_of(self._app)
            seconds = _SECONDS[period.unit]
            now = int(server.client.time()[0]) // seconds
            # Whole steps, so that a bucket stands for the same time whenever one looks.
            last = now - now % period.per_bucket + period.per_bucket
            numbers = range(last - period.buckets * period.per_bucket, last)
            with server.client.pipeline(transaction=False) as pipe:
                for number in numbers:
                    pipe.hgetall(server.key(f"expresslane-history-{period.unit}-{number}"))
                stored = pipe.execute()
        return tuple(
            Bucket(
                datetime.fromtimestamp(numbers[first] * seconds, UTC),
                _counts(stored[first : first + period.per_bucket]),
            )
            for first in range(0, len(numbers), period.per_bucket)
        )

    def totals(self) -> dict[Series, Tally]:
        """Return what was counted since counting began; it only grows.

        Raises:
            Unreachable: when the broker did not answer.

        """
        return {series: tally_of([counts]) for series, counts in _counts([self._total()]).items()}

    def of_workers(self) -> dict[str, int]:
        """Return what was counted of workers since counting began, such as `events_dropped`.

        Raises:
            Unreachable: when the broker did not answer.

        """
        stored = self._total().get(SEPARATOR.join(WORKERS).encode())
        return {
            name: int(number) for name, number in json.loads(stored or "{}").items() if name != "at"
        }

    def _total(self) -> dict[bytes, bytes]:
        with reachable("ask again later"):
            server = server_of(self._app)
            found: dict[bytes, bytes] = server.client.hgetall(server.key(TOTAL))  # type: ignore[assignment] # nothing decodes
            return found


def add(client: redis.Redis, prefix: str, flush: str, arguments: Sequence[str]) -> None:
    """Add counts to the buckets of now, and to the totals, in one step."""
    begins = f"{prefix}expresslane-history-"
    keys = [f"{begins}flush-{flush.rpartition('-')[0]}", f"{prefix}{TOTAL}"]
    limits = [MINUTES_KEPT * 60, HOURS_KEPT * 3_600, MOST_SERIES]
    rest = SEPARATOR.join(OTHER)
    given: list[str | int] = [
        f"{begins}minute-",
        f"{begins}hour-",
        *limits,
        rest,
        flush,
        *arguments,
    ]
    client.register_script(_ADD)(keys, given)


def _counts(stored: Iterable[Mapping[bytes, bytes]]) -> dict[Series, Counts]:
    found: dict[Series, Counts] = {}
    for bucket in stored:
        for name, counts in bucket.items():
            task, _, queue = name.decode(errors="replace").partition(SEPARATOR)
            if task:
                tally.add(found.setdefault(Series(task, queue), {}), json.loads(counts))
    return found
