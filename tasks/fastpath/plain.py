"""Which messages take the short way, and what is read from them."""

from binascii import a2b_base64
from collections.abc import Mapping
from typing import Any

from tasks.broker.envelope import decode
from tasks.failed.message import RERUNS
from tasks.worker import CELERYS_FIELDS

CALLBACKS = ("callbacks", "errbacks", "chain", "chord")
"""The fields of a request that tell what is sent when the job has ended."""

Arguments = tuple[list[Any], dict[str, Any], Mapping[str, Any]]
"""Positional ones, those by name, and what Celery adds to the request."""


def are_plain(headers: Mapping[str, Any]) -> bool:
    """Tell whether these headers ask for nothing but to run the task once, now.

    What they hold is only looked at, so no value in them can do harm: what is not as Celery itself
    writes it goes the long way, where it is checked and refused.
    """
    get = headers.get
    return (
        get("eta") is None
        and get("expires") is None
        and get("group") is None
        and get("shadow") is None
        and get("headers") is None
        and _are_limits(get("timelimit"))
        and not get("stamped_headers")
        and not get("replaced_task_nesting")
        and "compression" not in headers
        and "get" not in headers
        and "update" not in headers
        and "deaths" not in headers
        and type(get("id")) is str
        and type(get("root_id")) is str
        and type(get("parent_id")) in _TEXT_OR_NULL
        and type(get("retries")) is int
        and type(get(RERUNS, 0)) is int
        and headers["retries"] >= 0
        and get(RERUNS, 0) >= 0
        and headers["id"] != ""
    )


def arguments_of(envelope: Mapping[str, Any]) -> Arguments | None:
    """Return what the task is called with; None if that is not plain JSON, or has callbacks."""
    if (
        envelope.get("content-type") != "application/json"
        or envelope.get("content-encoding") != "utf-8"
        or envelope["properties"].get("body_encoding") != "base64"
    ):
        return None
    try:
        body = decode(a2b_base64(envelope["body"]).decode())
    except Exception:  # noqa: BLE001 (whatever it is, Celery's way is to say so)
        return None
    if type(body) is not list or len(body) != 3:
        return None
    args, kwargs, embed = body
    if type(args) is not list or type(kwargs) is not dict or embed != _NO_CALLBACKS:
        return None
    return args, kwargs, embed


def fields_of(envelope: dict[str, Any], arguments: Arguments, worker: str) -> dict[str, Any]:
    """Return the fields of the request that the body sees, which are those that Celery's has.

    They are made of the envelope's headers, which are not to be used afterwards.
    """
    fields: dict[str, Any] = envelope["headers"]
    properties = envelope["properties"]
    delivery = properties["delivery_info"]
    args, kwargs, embed = arguments
    fields["headers"] = {
        name: value for name, value in fields.items() if name not in CELERYS_FIELDS
    }
    fields.update(
        embed,
        args=args,
        kwargs=kwargs,
        properties=properties,
        reply_to=properties.get("reply_to"),
        correlation_id=properties.get("correlation_id"),
        hostname=worker,
        delivery_info={
            "exchange": delivery.get("exchange"),
            "routing_key": delivery.get("routing_key"),
            "priority": properties.get("priority"),
            "redelivered": delivery.get("redelivered", False),
        },
        is_eager=False,
        called_directly=False,
        time_limit=fields["timelimit"][0],
        soft_time_limit=fields["timelimit"][1],
    )
    return fields


def _are_limits(found: object) -> bool:
    return (
        type(found) is list
        and len(found) == 2
        and type(found[0]) in _SECONDS_OR_NULL
        and type(found[1]) in _SECONDS_OR_NULL
    )


_NO_CALLBACKS = dict.fromkeys(CALLBACKS)
"""What Celery adds to the request of a job without any. Less would leave what the headers say."""

_SECONDS_OR_NULL = (int, float, type(None))
_TEXT_OR_NULL = (str, type(None))
