"""Messages that are none: every way in which bytes on a queue can fail to become a job."""

import base64
import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any
from uuid import uuid4

Envelope = dict[str, Any]


def encoded(body: object) -> str:
    """Return a body as kombu writes it."""
    return base64.b64encode(json.dumps(body).encode()).decode()


def fresh(template: Envelope) -> Envelope:
    """Return a copy of a good message with an id of its own."""
    envelope, job_id = deepcopy(template), str(uuid4())
    envelope["headers"] |= {"id": job_id, "root_id": job_id}
    envelope["properties"] |= {"correlation_id": job_id, "delivery_tag": str(uuid4())}
    return envelope


def job_id_of(message: bytes) -> str | None:
    """Return the id of the job that a message may have become."""
    try:
        found = json.loads(message)["headers"]["id"]
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return None
    return found if isinstance(found, str) else None


DEEP = 100_000

RAW: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"hello",
    "half a JSON object": b'{"body": "',
    "no UTF-8": b"\xff\xfe\x80\x81",
    "UTF-16": '{"body": ""}'.encode("utf-16"),
    "zero bytes": b"\0" * 64,
    "a JSON list": b"[1, 2, 3]",
    "a JSON string": b'"body"',
    "a JSON number": b"7",
    "JSON null": b"null",
    "JSON true": b"true",
    "an empty object": b"{}",
    "not a number": b"NaN",
    "a number of too many digits": b"1" * 5_000,
    "an unknown __type__": b'{"__type__": "x", "__value__": 1}',
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
}

Change = Callable[[Envelope], object]


def put(*path: str, value: object) -> Change:
    """Return what sets one value."""

    def change(envelope: Envelope) -> None:
        place = envelope
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value

    return change


def drop(*path: str) -> Change:
    """Return what leaves one value out."""

    def change(envelope: Envelope) -> None:
        place = envelope
        for name in path[:-1]:
            place = place[name]
        del place[path[-1]]

    return change


CHANGED: dict[str, Change] = {
    "headers as a list": put("headers", value=[1]),
    "headers null": put("headers", value=None),
    "no headers": drop("headers"),
    "properties as a list": put("properties", value=[1]),
    "no properties": drop("properties"),
    "delivery_info as text": put("properties", "delivery_info", value="x"),
    "no delivery_info": drop("properties", "delivery_info"),
    "an unknown body encoding": put("properties", "body_encoding", value="rot13"),
    "a body encoding that is a list": put("properties", "body_encoding", value=[1]),
    "no body": drop("body"),
    "a body that is a number": put("body", value=7),
    "a body of bad base64": put("body", value="%%%"),
    "a body of bad JSON": put("body", value=base64.b64encode(b"{not json").decode()),
    "a body that is no UTF-8": put("body", value=base64.b64encode(b"\xff\xff").decode()),
    "a body that is an object": put("body", value=encoded({"args": []})),
    "a body of two parts": put("body", value=encoded([[], {}])),
    "a body of four parts": put("body", value=encoded([[], {}, {}, {}])),
    "args that are a number": put("body", value=encoded([7, {}, {}])),
    "kwargs that are a list": put("body", value=encoded([[], [1], {}])),
    "embed that is a number": put("body", value=encoded([[], {}, 7])),
    "a deep body": put("body", value=base64.b64encode(RAW["deep lists"]).decode()),
    "pickle": put("content-type", value="application/x-python-serialize"),
    "an unknown content type": put("content-type", value="text/x-unknown"),
    "a content type that is a list": put("content-type", value=[]),
    "an unknown content encoding": put("content-encoding", value="utf-99"),
    "no id": drop("headers", "id"),
    "an id that is a number": put("headers", "id", value=7),
    "an id that is null": put("headers", "id", value=None),
    "no task": drop("headers", "task"),
    "a task that is a list": put("headers", "task", value=["x"]),
    "a task nobody knows": put("headers", "task", value="nobody.knows.this"),
    "a time limit that is text": put("headers", "timelimit", value="x"),
    "one time limit": put("headers", "timelimit", value=[1]),
    "time limits that are text": put("headers", "timelimit", value=["a", "b"]),
    "an eta that is no date": put("headers", "eta", value="tomorrow"),
    "an eta that is a number": put("headers", "eta", value=7),
    "an expiry that is no date": put("headers", "expires", value="never"),
    "an expiry that is an object": put("headers", "expires", value={"a": 1}),
    "retries that are text": put("headers", "retries", value="x"),
    "retries below none": put("headers", "retries", value=-1),
    "a group that is an object": put("headers", "group", value={"a": 1}),
    "stamps that are a number": put("headers", "stamped_headers", value=7),
    "a priority that is an object": put("properties", "priority", value={"a": 1}),
    "a reply_to that is a list": put("properties", "reply_to", value=[1]),
    "a lone surrogate": put("headers", "argsrepr", value="\ud800"),
    "arguments that look like kombu's types": put(
        "body", value=encoded([[], {"number": {"__type__": "x", "__value__": 1}}, {}])
    ),
    "arguments that the task does not take": put("body", value=encoded([[], {"nobody": 1}, {}])),
}


def every_kind(template: Envelope) -> dict[str, bytes]:
    """Return each kind of bad message, by its name, made from a good one."""
    kinds = dict(RAW)
    for name, change in CHANGED.items():
        envelope = fresh(template)
        change(envelope)
        kinds[name] = json.dumps(envelope).encode()
    return kinds
