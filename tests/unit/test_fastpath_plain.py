"""Which messages take the short way, and that their bodies see what Celery's way shows."""

import base64
import json
from typing import Any

import pytest
from celery import signals
from celery.app import trace
from celery.app.task import Context
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu.transport import virtual

from tasks.broker.claims import Claim
from tasks.broker.envelope import NOTED_BY_WORKERS, Message, read
from tasks.celery import app
from tasks.failed.record import OUTCOME
from tasks.fastpath import conditions
from tasks.fastpath.plain import are_plain, arguments_of, fields_of
from tasks.message import check_body, check_headers, due_at
from tasks.replay import FIELD
from tasks.results import UNRECORDED
from tasks.worker import Request
from tests.support import jobs

HOST = "worker@host"

HEADERS: dict[str, Any] = {
    "lang": "py",
    "task": "tests.add",
    "id": "a-job",
    "shadow": None,
    "eta": None,
    "expires": None,
    "group": None,
    "group_index": None,
    "retries": 0,
    "timelimit": [None, None],
    "root_id": "a-job",
    "parent_id": None,
    "argsrepr": "()",
    "kwargsrepr": "{}",
    "origin": "gen1@host",
    "ignore_result": None,
    "replaced_task_nesting": 0,
    "stamped_headers": None,
    "stamps": {},
    "enqueued_at": 1.5,
}
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
OURS = ("replay", "log_tokens", "started", "cancelled", "unrecorded", "outcome", "claimed_at")

MORE = ("headers", "deaths", "reruns", "compression")

odd = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.sampled_from(["", "x", "0"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("x"), inner, max_size=1),
    max_leaves=3,
)
names = st.sampled_from(sorted({*HEADERS, *vars(Context), *EMBED, *OURS, *MORE} - {"task"}))
headers = st.dictionaries(names, odd, max_size=3)
embeds = st.just(EMBED) | st.dictionaries(names, odd, max_size=2) | odd
bodies = st.tuples(st.just([1, 2]) | odd, st.just({"x": 1}) | odd, embeds).map(list) | odd


def claim(changed: dict[str, Any], body: object, **properties: Any) -> Claim:
    """Return a claim of a message with these headers changed."""
    envelope = {
        "body": base64.b64encode(json.dumps(body).encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {**HEADERS, **changed},
        "properties": {
            "correlation_id": "a-job",
            "reply_to": "somebody",
            "delivery_info": {"exchange": "", "routing_key": "default"},
            "priority": 0,
            "body_encoding": "base64",
            **properties,
        },
    }
    return Claim("lane-1.1.0", "default", 0, json.dumps(envelope).encode())


def celerys(one: Claim) -> dict[str, Any]:
    """Return the fields of the request that a body sees on Celery's way."""
    channel: Any = virtual.Channel.__new__(virtual.Channel)
    message = Message(read(one), channel=channel)
    message.accept = {"application/json"}
    message.waits_in_pool, message.runs_here = True, True
    request = Request(
        message,
        app=app,
        hostname=HOST,
        task=jobs.add,
        body=message.body,
        headers=message.headers,
        decoded=False,
    )
    seen: list[Context] = []

    def trace_task(
        _: str, args: list[Any], kwargs: dict[str, Any], found: dict[str, Any]
    ) -> tuple[None, ...]:
        seen.append(Context(found or {}, args=args, called_directly=False, kwargs=kwargs))
        return (None,) * 4

    class Task:
        """Has a tracer that looks only."""

        __trace__ = staticmethod(trace_task)

    here: Any = ({request.type: Task}, None, HOST)
    trace.fast_trace_task(
        request.type, request.id, request.request_dict, request.body, None, None, _loc=here
    )
    return vars(seen[0])


@settings(max_examples=1_000, deadline=None, derandomize=True)
@given(changed=headers, body=bodies, extra=st.booleans())
def test_what_is_plain_is_accepted_and_shown_as_on_celerys_way(
    changed: dict[str, Any], body: object, extra: bool
) -> None:
    one = claim(changed, body, **({"own": [1]} if extra else {}))
    envelope = read(one)
    if not are_plain(envelope["headers"]):
        return
    arguments = arguments_of(envelope)
    if arguments is None:
        return
    check_headers(envelope["headers"])
    check_body(body)
    assert due_at(envelope["headers"]) is None
    found = fields_of(envelope, arguments, HOST)
    # They are written as JSON, because no number is the same as none.
    assert json.dumps(found, sort_keys=True) == json.dumps(celerys(one), sort_keys=True)


def test_the_usual_message_is_plain() -> None:
    envelope = read(claim({}, [[1], {}, EMBED]))
    assert are_plain(envelope["headers"])
    assert arguments_of(envelope) == ([1], {}, EMBED)


@pytest.mark.parametrize(
    "changed",
    [
        *({"eta": "2100-01-01"}, {"expires": "2100-01-01"}, {"group": "g"}, {"shadow": "s"}),
        *({"stamped_headers": ["s"]}, {"compression": None}, {"retries": -1}, {"retries": True}),
        *({"reruns": -1}, {"reruns": None}, {"id": ""}, {"id": 5}, {"root_id": None}),
        *({"timelimit": None}, {"timelimit": [1]}, {"timelimit": [True, None]}, {"parent_id": 5}),
        *(
            {"get": None},
            {"update": 1},
            {"headers": {}},
            {"headers": "x"},
            {"deaths": 0},
            {"replaced_task_nesting": 1},
        ),
    ],
    ids=str,
)
def test_a_message_that_asks_for_more_is_not(changed: dict[str, Any]) -> None:
    assert not are_plain({**HEADERS, **changed})


@pytest.mark.parametrize("name", ["content-type", "content-encoding", "body"])
def test_a_body_of_another_kind_is_not(name: str) -> None:
    envelope = read(claim({}, [[1], {}, EMBED]))
    envelope[name] = "?"
    assert arguments_of(envelope) is None


def test_nobody_listens_until_somebody_does() -> None:
    def listen(**_: object) -> None:
        """Do nothing."""

    heard = (signals.task_received, signals.task_prerun, signals.task_postrun, signals.task_success)
    assert conditions.nobody_listens()
    for signal in heard:
        signal.connect(listen)
        try:
            assert not conditions.nobody_listens(), signal
        finally:
            signal.disconnect(listen)
    assert conditions.nobody_listens()


def test_no_message_says_of_itself_what_a_worker_notes_of_a_job() -> None:
    assert {UNRECORDED, OUTCOME, FIELD, "cancelled"} <= set(NOTED_BY_WORKERS)
    forged = {"id": "x", "task": "t", **dict.fromkeys(NOTED_BY_WORKERS, "forged")}
    properties: dict[str, Any] = {"delivery_info": {}}
    message = json.dumps({"headers": forged, "properties": properties, "body": ""}).encode()
    assert read(Claim("lane-1", "q", 0, message))["headers"] == {"id": "x", "task": "t"}
