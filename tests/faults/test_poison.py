"""Whatever lies in a queue, the worker lives, good jobs are done, and nothing vanishes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.states import JobState
from tests.faults.arena import POOLS, Arena, Pool, Worker
from tests.faults.conftest import MakeArena
from tests.faults.poison import Envelope, every_kind, fresh, job_id_of
from tests.support.waiting import wait_for

AT_LEAST = 31
"""The kinds that were found to stop a stock worker, to wedge it or to vanish in it."""


def template(arena: Arena) -> Envelope:
    """Return a good message, as this project's producer writes it."""
    arena.send("faults.work", queue="nobody", number=1, seconds=0)
    message: Any = arena.broker.client.rpop("nobody")
    return dict(json.loads(message))


def kept_aside(arena: Arena) -> dict[bytes, dict[str, Any]]:
    """Return what is in quarantine: what is known of each message, by its bytes."""
    entries: Any = arena.broker.client.xrange("quarantine")
    return {fields[b"message"]: json.loads(fields[b"about"]) for _, fields in entries}


def fates(arena: Arena, messages: dict[str, bytes]) -> dict[str, str]:
    """Tell what has become of each message: quarantined, a final state of its job, or nothing."""
    quarantined = kept_aside(arena)
    found = {}
    for name, message in messages.items():
        job_id = job_id_of(message)
        state = arena.state(job_id) if job_id else JobState.UNKNOWN
        if quarantined.get(message, {}).get("reason"):
            found[name] = "quarantined"
        else:
            found[name] = str(state) if state.is_final else f"vanished ({state})"
    return found


def push_with_good_jobs(arena: Arena, messages: dict[str, bytes]) -> list[str]:
    """Put the messages into the queue, a good job behind each few; return the good ones' ids."""
    good = []
    for place, message in enumerate(messages.values()):
        arena.broker.client.lpush("default", message)
        if place % 5 == 0:
            good.append(arena.send("faults.work", number=place, seconds=0))
    return [*good, arena.send("faults.work", number=999, seconds=0)]


def assert_survived(arena: Arena, worker: Worker, good: list[str]) -> None:
    for job_id in good:
        wait_for(
            lambda: arena.state(job_id) is JobState.COMPLETE,  # noqa: B023 (called at once)
            "a good job",
            doing=worker.check_alive,
        )
    wait_for(
        lambda: not arena.queued() and not arena.unacked(),
        "an empty queue",
        doing=worker.check_alive,
    )
    worker.check_alive()


@pytest.mark.parametrize("pool", POOLS)
def test_no_kind_of_bad_message_stops_a_worker_or_vanishes(
    pool: Pool, make_arena: MakeArena
) -> None:
    arena = make_arena()
    worker = arena.worker(pool)
    bad = every_kind(template(arena))
    assert len(bad) >= AT_LEAST
    good = push_with_good_jobs(arena, bad)
    assert_survived(arena, worker, good)
    vanished = {name: fate for name, fate in fates(arena, bad).items() if "vanished" in fate}
    assert vanished == {}


def test_a_queue_whose_key_is_no_list_is_reported_and_the_others_go_on(
    make_arena: MakeArena,
) -> None:
    arena = make_arena()
    arena.broker.client.set("high", "I am no list")
    worker = arena.worker("threads", queues="high,default")
    job_id = arena.send("faults.work", number=1, seconds=0)
    arena.wait_for_state(job_id, JobState.COMPLETE)
    worker.wait_until_printed("queue high is skipped")


@pytest.fixture(scope="module")
def shooting_range(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Arena, Worker]]:
    with Arena(tmp_path_factory.mktemp("range")) as arena:
        yield arena, arena.worker("threads")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
PLACES = st.sampled_from(
    [
        *[("headers", name) for name in ("task", "lang", "timelimit", "eta", "expires", "group")],
        *[("headers", name) for name in ("retries", "shadow", "parent_id", "root_id", "origin")],
        *[("headers", name) for name in ("stamps", "stamped_headers", "deaths")],
        *[("headers", name) for name in ("argsrepr", "kwargsrepr", "group_index", "request_id")],
        *[("properties", name) for name in ("delivery_info", "priority", "body_encoding")],
        *[("properties", name) for name in ("reply_to", "correlation_id", "delivery_mode")],
        *[(name,) for name in ("headers", "properties", "body", "content-type")],
        ("content-encoding",),
    ]
)
SHOT = st.binary(max_size=60) | st.tuples(PLACES, JSON)


def loaded(shot: bytes | tuple[tuple[str, ...], object], good: Envelope) -> bytes:
    """Make the message: the bytes as they are, or a good message with one value changed."""
    if isinstance(shot, bytes):
        return shot
    (*path, last), value = shot
    envelope = fresh(good)
    (envelope[path[0]] if path else envelope)[last] = value
    return json.dumps(envelope).encode()


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(shots=st.lists(SHOT, min_size=20, max_size=40))
def test_no_bytes_and_no_changed_value_stop_a_worker_or_vanish(
    shots: list[bytes | tuple[tuple[str, ...], object]],
    shooting_range: tuple[Arena, Worker],
) -> None:
    arena, worker = shooting_range
    good = template(arena)
    messages = {f"{shot!r}": loaded(shot, good) for shot in shots}
    jobs = push_with_good_jobs(arena, messages)
    assert_survived(arena, worker, jobs)
    vanished = {name: fate for name, fate in fates(arena, messages).items() if "vanished" in fate}
    assert vanished == {}
