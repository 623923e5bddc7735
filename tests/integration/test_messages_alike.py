"""What is sent quickly is what Celery would have sent: the same bytes, whatever the options.

Celery's own way is taken with a producer of the caller's own. Only what is drawn anew for each
message is made alike before the comparison: tags, the clock, and how long a message may live.
"""

import base64
import json
import pickle
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from celery import Celery, Task, signals
from celery.result import AsyncResult
from celery.utils.saferepr import saferepr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.client import PubSub

from config import bound as log_fields
from config.masking import Masking
from tasks.amqp import short_repr
from tasks.bulk import delay_many
from tasks.celery import app
from tasks.job import Job
from tasks.tracing import HEADER
from tests.support import jobs
from tests.support.valkey import Valkey

QUEUE = "low"
OTHER_QUEUE = f"{QUEUE}-other"
JOB = "0d5c6ed6-5ea3-4c3e-8e7c-0a6f4d6ff9a1"
HIDING = Masking(["word", "user"])
LATER = datetime(2100, 1, 1, tzinfo=UTC)

some = ["it's", 'a "word"', "100 %", "%(id)s", "ü\n\\", "user", "word: secret", "ada@example.com"]
texts = st.text(max_size=8) | st.sampled_from(some)
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
others = st.uuids() | st.decimals(allow_nan=False) | st.datetimes() | st.binary(max_size=4)
values = st.recursive(
    plain | others,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
add = jobs.add.s(1, 2)
options = st.fixed_dictionaries(
    {},
    optional={
        "priority": st.integers(0, 9),
        "ignore_result": st.booleans(),
        "time_limit": st.integers(5, 9),
        "soft_time_limit": st.integers(1, 4),
        "serializer": st.just("json"),
        "eta": st.just(LATER),
        "expires": st.just(LATER + timedelta(days=1)),
        "headers": st.dictionaries(st.sampled_from(["trace", "user"]), plain, max_size=2),
        "link": st.just(add),
        "link_error": st.just([add, add]),
        "chord": st.just({"task": "tests.add", "args": [], "kwargs": {}}),
        "group_id": st.just("a-group"),
        "group_index": st.integers(0, 3),
        "root_id": st.just("a-root"),
        "parent_id": st.just("a-parent"),
        "shadow": st.just("another name"),
        "retries": st.integers(0, 3),
        "argsrepr": texts,
        "kwargsrepr": texts,
        "stamped_headers": st.just(["stamp"]),
        "delivery_mode": st.sampled_from([1, 2]),
        "declare": st.just([]),
    },
)


@app.task(name="tests.take_anything", base=Job, queue=QUEUE, shared=False)
def take_anything(*args: Any, **kwargs: Any) -> None:
    """Stand for a task whose queue is its own. No worker runs it."""


@pytest.fixture
def server(valkey: Valkey) -> Iterator[Valkey]:
    yield valkey
    valkey.client.delete(*(f"{QUEUE}{end}" for end in ("", ".bell")))
    valkey.client.delete(*(f"{QUEUE}\x06\x16{priority}" for priority in range(10)))
    valkey.client.delete(f"celery-task-meta-{JOB}")


Sent = tuple[str, str, str, bytes, bytes]


def sent(server: Valkey, listener: PubSub, call: Callable[[], None]) -> Sent:
    """Return what the call sends: list, message, event, and what is stored of the job."""
    client = server.client
    call()
    lists = [QUEUE, *(f"{QUEUE}\x06\x16{priority}" for priority in range(10))]
    (name,) = [one for one in lists if client.exists(one)]
    message = client.rpop(name)
    assert isinstance(message, bytes)
    event = listener.get_message(timeout=10)
    key = f"celery-task-meta-{JOB}"
    mark, bell = client.get(key) or b"", client.lpop(f"{QUEUE}.bell") or b""
    assert isinstance(mark, bytes)
    assert isinstance(bell, bytes)
    mark = re.sub(rb'"enqueued_at": [\d.]+', b"ENQUEUED", mark)
    client.delete(key)
    return name, alike(message), alike(event["data"]), mark, bell


def masked_saferepr(value: object, longest: int, levels: int, hiding: Masking | None = None) -> str:
    """Return the text of the arguments, made by Celery of what the masks leave."""
    return str(saferepr(hiding.value(value) if hiding else value, longest, levels))


def alike(message: bytes) -> str:
    """Return the text with what is drawn anew for each message taken out, its body readable."""
    text = re.sub(r'"delivery_tag": "[-0-9a-f]{36}"', "TAG", message.decode())
    text = re.sub(r'"enqueued_at": [\d.]+', "ENQUEUED", text)
    text = re.sub(r'"expiration": "\d+"', "EXPIRATION", text)
    body = base64.b64decode(json.loads(message)["body"]).decode()
    body = re.sub(r'"clock": \d+', "CLOCK", body)
    body = re.sub(r'"timestamp": [\d.]+', "TIMESTAMP", body)
    return re.sub(r'"body": "[^"]*"', "BODY", text, count=1) + body


@pytest.fixture
def hearer(server: Valkey) -> Iterator[PubSub]:
    """What hears of all events."""
    with server.client.pubsub(ignore_subscribe_messages=True) as found:  # type: ignore[no-untyped-call] # redis-py's
        found.psubscribe("/0.celeryev/task.*")
        assert found.get_message(timeout=10) is None
        yield found


@pytest.fixture
def listener(server: Valkey) -> Iterator[PubSub]:
    with server.client.pubsub(ignore_subscribe_messages=True) as found:  # type: ignore[no-untyped-call] # redis-py's
        found.subscribe("/0.celeryev/task.sent")
        assert found.get_message(timeout=10) is None
        yield found


MANY_EXAMPLES = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


@MANY_EXAMPLES
@given(
    args=st.lists(values, max_size=3),
    kwargs=st.dictionaries(st.sampled_from(["first", "second", "x"]), values, max_size=3),
    given_options=options | st.just({}),
    by_name=st.booleans(),
    request_id=st.none() | st.just("a-request"),
)
def test_each_message_is_the_one_that_celery_would_have_sent(
    server: Valkey,
    listener: PubSub,
    args: list[Any],
    kwargs: dict[str, Any],
    given_options: dict[str, Any],
    by_name: bool,
    request_id: str | None,
) -> None:
    given_options = {"queue": QUEUE, **given_options}
    if "stamped_headers" in given_options:
        given_options["stamp"] = "on it"

    def send(**more: Any) -> None:
        if by_name:
            app.send_task("tests.add", tuple(args), kwargs, task_id=JOB, **more)
        else:
            jobs.add.apply_async(tuple(args), kwargs, task_id=JOB, **more)

    def as_celery() -> None:
        with (
            app.producer_pool.acquire(block=True) as producer,
            patch("tasks.amqp.short_repr", masked_saferepr),
        ):
            send(**{**given_options, "producer": producer})

    jobs.add.typing = False
    tokens = log_fields.bind({HEADER: request_id} if request_id else {})
    try:
        expected = sent(server, listener, as_celery)
        first = sent(server, listener, lambda: send(**given_options))
        later = sent(server, listener, lambda: send(**given_options))
    finally:
        log_fields.unbind(tokens)
        jobs.add.typing = True
    assert first == expected
    assert later == expected


def waiting(server: Valkey) -> list[bytes]:
    """Return the messages in the queue."""
    found: Any = server.client.lrange(QUEUE, 0, -1)
    return list(found)


def mark_of(server: Valkey, job_id: str) -> tuple[str, bool]:
    """Return what is stored of the job, and whether that is kept for some days."""
    key = f"celery-task-meta-{job_id}"
    found: Any = server.client.get(key)
    left: Any = server.client.ttl(key)
    return re.sub(r'"enqueued_at": [\d.]+', "ENQUEUED", found.decode()), left > 29 * 86_400


@MANY_EXAMPLES
@given(
    args=st.lists(values, max_size=3),
    kwargs=st.dictionaries(st.sampled_from(["first", "password", "x"]), values, max_size=3),
    request_id=st.none() | st.just("a-request"),
)
def test_a_call_of_delay_sends_the_one_that_celery_would_have_sent(
    server: Valkey,
    listener: PubSub,
    args: list[Any],
    kwargs: dict[str, Any],
    request_id: str | None,
) -> None:
    tokens = log_fields.bind({HEADER: request_id} if request_id else {})
    found = []
    try:
        # The first one of a kind is Celery's.
        take_anything.delay()
        server.client.delete(QUEUE, f"{QUEUE}.bell")
        listener.get_message(timeout=10)
        job_id = take_anything.delay(*args, **kwargs).id
        for again in (False, True):
            if again:
                server.client.delete(f"celery-task-meta-{job_id}")
                with (
                    app.producer_pool.acquire(block=True) as producer,
                    patch("tasks.amqp.short_repr", masked_saferepr),
                ):
                    take_anything.apply_async(
                        tuple(args), kwargs, task_id=job_id, producer=producer
                    )
            (message,) = waiting(server)
            event = listener.get_message(timeout=10)["data"]
            bell = server.client.lrange(f"{QUEUE}.bell", 0, -1)
            found.append((alike(message), alike(event), mark_of(server, job_id), bell))
            server.client.delete(QUEUE, f"{QUEUE}.bell")
    finally:
        log_fields.unbind(tokens)
    assert found[0] == found[1]


simple = st.none() | st.booleans() | st.integers() | st.floats() | st.text("aZ 0", max_size=8)
named = ["first", "second", "x", "password", "a: b", "it's"]


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    st.sampled_from([["first"], ["second", "first"], named, []]).flatmap(
        lambda names: st.lists(
            st.fixed_dictionaries(dict.fromkeys(names, simple | texts))
            | st.fixed_dictionaries(dict.fromkeys(names, simple), optional={"y": values})
            | st.fixed_dictionaries(dict.fromkeys(names, st.text("a", max_size=1_200))),
            min_size=1,
            max_size=5,
        )
    )
)
def test_those_that_are_sent_together_are_as_if_each_were_sent_alone(
    server: Valkey, hearer: PubSub, rows: list[dict[str, Any]]
) -> None:
    def events() -> list[str]:
        found = []
        # The server has published before it answered.
        while message := hearer.get_message(timeout=0.01):
            body = json.loads(base64.b64decode(json.loads(message["data"])["body"]))
            found += body if isinstance(body, list) else [body]
        # Workers that other tests have started tell of other things.
        sent = [
            event for event in found if event["type"] == "task-sent" and event["queue"] == QUEUE
        ]
        for event in sent:
            del event["clock"], event["timestamp"]
        return list(map(json.dumps, sent))

    jobs.add.typing = False
    try:
        # Both ways have then sent one.
        delay_many(jobs.add, rows[:1], queue=QUEUE)
        jobs.add.apply_async((), {}, queue=QUEUE)
        server.client.delete(QUEUE)
        events()
        ids = delay_many(jobs.add, rows, queue=QUEUE)
        together = list(map(alike, waiting(server)))
        told_together = events()
        server.client.delete(QUEUE)
        for row, job_id in zip(rows, ids, strict=True):
            jobs.add.apply_async((), row, task_id=job_id, queue=QUEUE)
    finally:
        jobs.add.typing = True
    assert together == list(map(alike, waiting(server)))
    assert told_together == events()
    assert all(server.client.exists(f"celery-task-meta-{job_id}") for job_id in ids)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(values, max_size=4) | st.dictionaries(texts, values, max_size=4))
def test_the_text_of_arguments_is_that_of_celery(value: object) -> None:
    for longest in (20, 1024):
        for levels in (0, 1, 3):
            assert short_repr(value, longest, levels) == saferepr(value, longest, levels)
            shown = masked_saferepr(value, longest, levels, HIDING)
            assert short_repr(value, longest, levels, HIDING) == shown
    if isinstance(value, list):
        assert short_repr(tuple(value), 1024, 3) == saferepr(tuple(value), 1024)


def test_a_receiver_of_the_signal_may_change_what_is_sent(server: Valkey, listener: PubSub) -> None:
    told: list[dict[str, Any]] = []

    def change(headers: dict[str, Any], properties: dict[str, Any], **_: object) -> None:
        headers["argsrepr"] = "masked"
        properties["priority"] = 3

    def note(headers: dict[str, Any], body: tuple[Any, ...], **signal: Any) -> None:
        told.append({"id": headers["id"], "args": list(body[0]), "key": signal["routing_key"]})

    def send() -> None:
        jobs.add.apply_async((1, 2), task_id=JOB, queue=QUEUE)

    send()
    server.client.delete(QUEUE)
    listener.get_message(timeout=10)
    signals.before_task_publish.connect(change)
    signals.after_task_publish.connect(note)
    try:
        name, message, *_ = sent(server, listener, send)
    finally:
        signals.before_task_publish.disconnect(change)
        signals.after_task_publish.disconnect(note)
    assert name == f"{QUEUE}\x06\x163"
    assert '"argsrepr": "masked"' in message
    assert told == [{"id": JOB, "args": [1, 2], "key": QUEUE}]


def test_a_job_costs_one_trip_to_the_server(server: Valkey) -> None:
    jobs.add.apply_async((1, 2), queue=QUEUE)
    before = server.client.info("stats")["total_commands_processed"]
    calls = server.client.info("commandstats")["cmdstat_evalsha"]["calls"]
    jobs.add.apply_async((1, 2), queue=QUEUE)
    assert server.client.info("commandstats")["cmdstat_evalsha"]["calls"] == calls + 1
    # The two questions of this test, the script, and the four commands in it.
    assert server.client.info("stats")["total_commands_processed"] - before <= 9


def test_a_change_of_the_settings_shows_in_the_next_message(
    server: Valkey, listener: PubSub
) -> None:
    def send() -> None:
        jobs.add.apply_async(([[1]], 2), queue=QUEUE, task_id=JOB)

    send()
    app.conf.task_repr_maxlevels = 2
    app.conf.task_send_sent_event = False
    try:
        send()
    finally:
        app.conf.task_send_sent_event = True
        app.conf.task_repr_maxlevels = 3
    last, first = (json.loads(one) for one in server.client.lrange(QUEUE, 0, -1) or ())
    assert first["headers"]["argsrepr"] == "([[1]], 2)"
    assert last["headers"]["argsrepr"] == "([[...]], 2)"
    assert listener.get_message(timeout=10) is not None
    assert listener.get_message(timeout=0) is None


def test_what_tracers_put_around_celerys_functions_is_called_for_each_job(server: Valkey) -> None:
    def send() -> None:
        jobs.add.delay(first=1, second=2)

    send()
    for owner, name in ((Task, "apply_async"), (Celery, "send_task")):
        around: Any = getattr(owner, name)
        with patch.object(owner, name, autospec=True, side_effect=around) as called:
            send()
            send()
        assert called.call_count == 2
    server.client.delete("default", "default.bell")


def test_a_route_that_looks_at_the_data_is_asked_for_each_job(server: Valkey) -> None:
    def route(_name: str, _args: object, kwargs: dict[str, Any], *_: Any, **__: Any) -> str:
        return QUEUE if kwargs["first"] else OTHER_QUEUE

    routes = app.conf.task_routes
    app.conf.task_routes = route
    app.amqp.flush_routes()
    del app.amqp.router
    try:
        for first in (0, 1, 1, 0, 1):
            jobs.add.delay(first=first, second=2)
    finally:
        app.conf.task_routes = routes
        app.amqp.flush_routes()
        del app.amqp.router
    assert [server.client.llen(queue) for queue in (QUEUE, OTHER_QUEUE)] == [3, 2]
    server.client.delete(OTHER_QUEUE, f"{OTHER_QUEUE}.bell")


@pytest.mark.usefixtures("server")
def test_a_result_can_be_sent_to_another_process() -> None:
    sent_before = jobs.add.apply_async((1, 2), queue=QUEUE, task_id=JOB)
    sent = jobs.add.apply_async((1, 2), queue=QUEUE, task_id=JOB)
    assert pickle.loads(pickle.dumps(sent)) == sent == sent_before  # noqa: S301 (our own)
    assert sent.state == "PENDING"
    assert isinstance(sent, AsyncResult)
