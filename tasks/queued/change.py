"""What a waiting message becomes when somebody edits it, moves it or runs it early."""

import json
from collections.abc import Mapping
from time import time
from typing import Any

from tasks import enqueued
from tasks.failed.message import change_data
from tasks.queued.job import read

EDITED = "(edited while it waited)"
"""What monitors show for arguments that were edited; the true ones may be meant for nobody."""


def edited(message: bytes, data: Mapping[str, Any]) -> bytes:
    """Return the message with other data.

    Raises:
        BadJob: when `data` are not what JSON can carry.

    """
    envelope = json.loads(message)
    change_data(envelope, data, EDITED)
    return json.dumps(envelope).encode()


def moved(message: bytes, to: str) -> bytes:
    """Return the message as one of another queue: a retry goes where its message came from.

    What is no job stays as it is.
    """
    if not read(message, to, 0, "").is_job:
        return message
    envelope = json.loads(message)
    envelope["properties"]["delivery_info"] = {"exchange": "", "routing_key": to}
    return json.dumps(envelope).encode()


def due_now(message: bytes) -> bytes:
    """Return the message without the time that it waits for; a worker would wait for it again."""
    envelope = json.loads(message)
    envelope["headers"]["eta"] = None
    envelope["headers"][enqueued.HEADER] = round(time(), 6)
    return json.dumps(envelope).encode()
