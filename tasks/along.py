"""Headers of ours that go with each message, whoever sends it and by which way."""

from collections.abc import Callable, Mapping
from typing import Any

SENT_ALONG: list[Callable[[dict[str, Any]], object]] = []
"""What adds headers of ours to those of the caller's own, for each message. A receiver of Celery's
signal could do it as well, and would be given all of the message, made for it each time."""


def headers_along(own: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the caller's own headers and those that go along."""
    headers = {**own} if own else {}
    for add in SENT_ALONG:
        add(headers)
    return headers
