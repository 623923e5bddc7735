"""The message of a failed job: kombu's envelope, as it was on the queue's list.

To run a job again, its body is left as it is, byte for byte. Of its headers change those that
count attempts or tell a time that is over.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from time import time
from typing import Any
from uuid import uuid4

from celery import Celery
from kombu.compression import decompress
from kombu.serialization import dumps, loads
from kombu.utils.encoding import str_to_bytes
from kombu.utils.json import dumps as dumps_json

from tasks import enqueued
from tasks.errors import BadJob

RERUNS = "reruns"
"""The header with the number of the run; none, or 0, is the first.

Who begins a job anew under its id raises it: a retry of a job that has failed for good, and who
sends the message once more because it was lost (`JobResults.next_run`). A retry that the job makes
itself keeps it. The result backend tells new runs from old ones by it.
"""

OUTBOX = "outbox"
"""The header of a job that was enqueued in a transaction. Its value means nothing."""

OF_ONE_DELIVERY = ("deaths", "redelivered")
"""Headers that the transport adds to a delivery. Celery takes them for some of the caller's."""

CHANGED = "(changed when it was retried)"
"""What monitors show for arguments that were changed; the true ones may be meant for nobody."""


def arguments(envelope: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and the named arguments.

    Raises:
        ContentDisallowed: when they are not written as JSON.

    """
    args, kwargs, _ = body(envelope)
    return tuple(args), dict(kwargs)


def body(envelope: Mapping[str, Any]) -> Any:  # noqa: ANN401 (any decoded JSON)
    """Return the body: in a job's message a list of its arguments, its data, and its embed.

    Raises:
        ContentDisallowed: when it is not written as JSON.

    """
    kind, encoding = envelope["content-type"], envelope["content-encoding"]
    return loads(_body(envelope), kind, encoding)


def run_again(message: bytes, queue: str, data: Mapping[str, Any] | None = None) -> bytes:
    """Return the message that runs the job anew, from its first attempt.

    Args:
        message: the one that failed.
        queue: the queue to run it in.
        data: named arguments in the place of all that it had.

    Raises:
        BadJob: when `data` are not what JSON can carry.

    """
    envelope = json.loads(message)
    headers, properties = envelope["headers"], envelope["properties"]
    for name in OF_ONE_DELIVERY:
        headers.pop(name, None)
    reruns = int(headers.get(RERUNS) or 0) + 1
    headers.update({"retries": 0, "eta": None, "expires": None, RERUNS: reruns})
    properties.pop("expiration", None)
    headers[enqueued.HEADER] = round(time(), 6)
    properties["delivery_tag"] = str(uuid4())
    properties["delivery_info"] = {"exchange": "", "routing_key": queue}
    if data is not None:
        change_data(envelope, data, CHANGED)
    return json.dumps(envelope).encode()


def compose(app: Celery, request: Any, queue: str) -> bytes:  # noqa: ANN401 (a Context has any field)
    """Return the message that a running job must have come in, for want of the message itself."""
    options = request.as_execution_options()
    own = {k: v for k, v in options.pop("headers").items() if k not in OF_ONE_DELIVERY}
    made = app.amqp.as_task_v2(
        name=request.task,
        args=request.args,
        kwargs=request.kwargs,
        callbacks=options.pop("link"),
        errbacks=options.pop("link_error"),
        ignore_result=request.ignore_result,
        argsrepr=request.get("argsrepr"),
        kwargsrepr=request.get("kwargsrepr"),
        **{**options, "expires": None},
    )
    kind, encoding, body = dumps(made.body, app.conf.task_serializer)
    return dumps_json(
        {
            "body": b64encode(str_to_bytes(body)).decode(),
            "content-encoding": encoding,
            "content-type": kind,
            "headers": {**made.headers, **own},
            "properties": {
                **made.properties,
                "body_encoding": "base64",
                "delivery_mode": 2,
                "delivery_tag": str(uuid4()),
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": (request.delivery_info or {}).get("priority") or 0,
            },
        }
    ).encode()


def change_data(envelope: dict[str, Any], data: Mapping[str, Any], shown: str) -> None:
    """Put named arguments in the place of all that the message has; monitors show `shown`.

    Raises:
        BadJob: when `data` are not what JSON can carry.

    """
    try:
        kwargs = json.loads(dumps_json(dict(data)))
        _, _, embed = json.loads(_body(envelope))
    except (TypeError, ValueError) as error:
        raise BadJob(f"a job's data must be what JSON can carry: {error}") from error
    new = json.dumps([[], kwargs, embed]).encode()
    envelope["body"] = b64encode(new).decode()
    envelope["properties"]["body_encoding"] = "base64"
    envelope["headers"].pop("compression", None)
    envelope["headers"].update(argsrepr="()", kwargsrepr=shown)


def _body(envelope: Mapping[str, Any]) -> bytes:
    body = envelope["body"]
    encoded = str(envelope["properties"].get("body_encoding") or "").lower() == "base64"
    found = b64decode(body) if encoded else str(body).encode()
    compression = envelope["headers"].get("compression")
    return bytes(decompress(found, compression)) if compression else found
