"""What the broker's server knows of its queues: lengths, ages, pauses, who holds how many."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis

from tasks.broker.access import Server
from tasks.broker.envelope import parse
from tasks.enqueued import waiting_since
from tasks.queued import scripts


@dataclass(frozen=True)
class QueueFacts:
    """What is known of one queue; times in seconds since 1970, by the server's clock."""

    name: str
    by_priority: dict[int, int]
    held: int | None
    oldest: float | None
    paused: float | None
    fault: str | None
    now: float


def used(server: Server, exchange: str) -> set[str]:
    """Return the names of the queues that were ever declared, and of those that are paused."""
    channel = server.channel
    with server.client.pipeline(transaction=False) as pipe:
        pipe.smembers(server.key(channel.keyprefix_queue % exchange))
        pipe.hkeys(server.keys.paused)
        bound, paused = pipe.execute()
    names = {binding.decode().rpartition(channel.sep)[2] for binding in bound}
    return names | {str(json.loads(name)) for name in paused}


def facts_of(server: Server, names: Sequence[str]) -> list[QueueFacts]:
    """Return what is known of these queues."""
    priorities = server.channel.priority_steps
    with server.client.pipeline(transaction=False) as pipe:
        for name in names:
            for priority in priorities:
                pipe.llen(server.queue_key(name, priority))
                pipe.lindex(server.queue_key(name, priority), -1)
        pipe.hgetall(server.keys.paused)
        pipe.time()
        *lists, paused, (seconds, microseconds) = pipe.execute(raise_on_error=False)
    claims = server.client.register_script(scripts.HELD)([server.keys.unacked])
    held = None if claims is None else Counter(str(json.loads(name)) for name in claims)
    times = {str(json.loads(name)): float(at) for name, at in paused.items()}
    now = seconds + microseconds / 1_000_000
    step = 2 * len(priorities)
    return [
        _facts(name, priorities, lists[i * step : (i + 1) * step], held, times.get(name), now)
        for i, name in enumerate(names)
    ]


def pause(server: Server, name: str) -> bool:
    """Pause a queue; False: it was paused."""
    script = server.client.register_script(scripts.PAUSE)
    return bool(script([server.keys.paused], [json.dumps(name)]))


def resume(server: Server, name: str) -> bool:
    """Resume a queue, and wake who waits for it; False: it was not paused."""
    script = server.client.register_script(scripts.RESUME)
    return bool(script([server.keys.paused, server.key(name)], [json.dumps(name)]))


def _facts(
    name: str,
    priorities: Sequence[int],
    answers: Sequence[Any],
    held: Counter[str] | None,
    paused: float | None,
    now: float,
) -> QueueFacts:
    lengths, oldest = answers[::2], answers[1::2]
    faults = [answer for answer in answers if isinstance(answer, redis.ResponseError)]
    others = [answer for answer in answers if isinstance(answer, Exception)]
    if len(others) > len(faults):
        raise next(error for error in others if error not in faults)
    return QueueFacts(
        name=name,
        by_priority={
            priority: 0 if isinstance(length, Exception) else int(length)
            for priority, length in zip(priorities, lengths, strict=True)
        },
        held=None if held is None else held[name],
        oldest=min(filter(None, map(_waiting_since, oldest)), default=None),
        paused=paused,
        fault=str(faults[0]) if faults else None,
        now=now,
    )


def _waiting_since(message: object) -> float | None:
    if not isinstance(message, bytes):
        return None
    try:
        return waiting_since(parse(message)["headers"])
    except (ValueError, RecursionError):
        return None
