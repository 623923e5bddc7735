"""Messages that are not quite as Celery makes them, which anybody can push."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.support import plain_jobs as jobs
from tests.support.scenarios import Scenario, Sender


def hostile(headers: Mapping[str, object], **more: Any) -> Callable[[Sender], object]:
    """Return what pushes a message with these headers."""
    return lambda sender: sender.push(headers, **more)


_ODD: dict[str, object] = {
    "object": {"error": "x"},
    "true": True,
    "text": "x",
    "zero": 0,
    "list": [1],
}

_FORGED = (
    *("replay", "log_tokens", "started", "cancelled", "outcome", "shown", "claimed_at"),
    *("__dict__", "__class__", "_children", "_protected", "enqueued_at", "request_id"),
    *("headers", "hostname", "properties", "args", "kwargs", "delivery_info", "deaths"),
    *("is_eager", "called_directly", "ignore_result", "argsrepr", "reply_to", "time_limit"),
    *("callbacks", "errbacks", "chain", "chord", "group_index", "stamps", "traceparent"),
    *("reruns", "retries", "timelimit", "group", "redelivered", "origin", "taskset", "utc"),
    *("outbox_claim", "lang", "loglevel", "correlation_id", "replaced_task_nesting"),
)

HOSTILE = {
    f"header {name} {kind}": Scenario(hostile({name: value}), None)
    for name in _FORGED
    for kind, value in _ODD.items()
} | {
    "forged cancelled, ignored": Scenario(
        hostile({"cancelled": True, "ignore_result": True}), None
    ),
    "forged replay, fail": Scenario(
        hostile({"replay": {"error": "x"}}, task=jobs.fail, body=[["ordinary"], {}, {}]), None
    ),
    "forged cancelled, fail": Scenario(
        hostile(
            {"cancelled": True, "ignore_result": True},
            task=jobs.fail,
            body=[["ordinary"], {}, {}],
        ),
        None,
    ),
    "embed empty": Scenario(hostile({}, body=[[], {}, {}]), None),
    "embed null": Scenario(hostile({}, body=[[], {}, None]), None),
    "embed odd": Scenario(
        hostile({}, body=[[], {}, {"id": "", "hostname": "", "retries": 0, "is_eager": 0}]), None
    ),
    "embed headers": Scenario(hostile({}, body=[[], {}, {"headers": {}, "args": []}]), None),
    "embed limits": Scenario(hostile({}, body=[[], {}, {"timelimit": None}]), None),
    "chain in headers": Scenario(
        hostile({"chain": [{"task": "plain.unknown"}]}, body=[[], {}, {}]), None
    ),
    "body of two": Scenario(hostile({}, body=[[], {}]), None),
    "body of text": Scenario(hostile({}, body="text"), None),
    "args of text": Scenario(hostile({}, body=["text", {}, {}]), None),
    "kwargs of list": Scenario(hostile({}, body=[[], [], {}]), None),
    "odd arguments": Scenario(hostile({}, task=jobs.give, body=[[], {"x": 1}, {}]), None),
    "nan": Scenario(hostile({}, body=[[float("nan")], {}, {}]), None),
    "enqueued nan": Scenario(hostile({"enqueued_at": float("nan")}), None),
    "enqueued huge": Scenario(hostile({"enqueued_at": 1e300}), None),
    "many retries": Scenario(hostile({"retries": 10**30}), None),
    "many reruns": Scenario(hostile({"reruns": 5_000}), None),
    "no routing key": Scenario(hostile({}, properties={"delivery_info": {}}), None),
    "other routing key": Scenario(
        lambda at: at.push(
            properties={"delivery_info": {"exchange": "x", "routing_key": f"{at.queue}-other"}}
        ),
        None,
    ),
    "redelivered": Scenario(
        lambda at: at.push(
            properties={"delivery_info": {"routing_key": at.queue, "redelivered": True}}
        ),
        None,
    ),
    "odd priority": Scenario(hostile({}, properties={"priority": {"a": 1}}), None),
    "no root": Scenario(hostile({}, without=("root_id", "parent_id", "group")), None),
    "no retries": Scenario(hostile({}, without=("retries",)), None),
    "umlaut": Scenario(hostile({"task": "plain.ü"}), None),
    "method get": Scenario(hostile({"get": 1}), ()),
    "method update": Scenario(hostile({"update": 1}), ()),
    "method get, fail": Scenario(
        hostile({"get": 1}, task=jobs.fail, body=[["ordinary"], {}, {}]), ()
    ),
}
