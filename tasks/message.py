"""Whether a message can become a job: the checks that Celery leaves out, or makes too late."""

from collections.abc import Mapping
from datetime import datetime
from numbers import Real
from typing import Any

from celery.utils.time import maybe_iso8601, maybe_make_aware

from tasks.failed.message import RERUNS

METHODS = ("get", "update")
"""What is asked of a job's request when it ends. A header of such a name would stand in its way."""


class BadHeaders(ValueError):
    """A message's headers are not those of a job."""


class BadBody(ValueError):
    """A message's body is not that of a job."""


def check_headers(headers: Mapping[str, Any]) -> None:
    """Check the headers that Celery would trip over long after the message was accepted.

    Raises:
        BadHeaders: naming the first that is wrong.

    """
    for name in METHODS:
        if name in headers:
            raise BadHeaders(f"header {name} is no header of a job")
    for name in ("id", "task"):
        if not isinstance(headers.get(name), str) or not headers[name]:
            raise BadHeaders(f"header {name} must be text, not {headers.get(name)!r}")
    for name in ("shadow", "root_id", "parent_id"):
        if not isinstance(headers.get(name), (str, type(None))):
            raise BadHeaders(f"header {name} must be text or null, not {headers[name]!r:.100}")
    limits = headers.get("timelimit")
    if limits is not None and not (
        isinstance(limits, list) and len(limits) == 2 and all(map(_is_seconds, limits))
    ):
        raise BadHeaders(f"header timelimit must be two numbers or null, not {limits!r}")
    for name in ("retries", RERUNS):
        count = headers.get(name) or 0
        if not isinstance(count, int) or count < 0:
            raise BadHeaders(f"header {name} must be a count, not {count!r}")


def check_body(body: Any) -> None:  # noqa: ANN401 (any decoded JSON)
    """Check the parts of a body, which Celery would trip over when the job has run already.

    Raises:
        BadBody: saying what it must be.

    """
    if not (isinstance(body, (list, tuple)) and len(body) == 3):
        raise BadBody("a body must be a list of args, kwargs and embed")
    args, kwargs, embed = body
    for part, name, kinds in (
        (args, "args", list),
        (kwargs, "kwargs", dict),
        (embed, "embed", dict),
    ):
        if not isinstance(part, kinds) and (part is not None or name != "embed"):
            raise BadBody(f"{name} must be a {kinds.__name__}, not {part!r:.100}")


def due_at(headers: Mapping[str, Any]) -> float | None:
    """Return when the job is to run, in seconds since 1970; None for at once.

    Raises:
        BadHeaders: when the header is no time.

    """
    eta = headers.get("eta")
    if eta is None:
        return None
    try:
        due: datetime = maybe_make_aware(maybe_iso8601(eta))  # type: ignore[arg-type] # never None
    except (AttributeError, TypeError, ValueError) as error:
        raise BadHeaders(f"header eta must be a time in ISO 8601, not {eta!r}") from error
    return float(due.timestamp())


def _is_seconds(value: object) -> bool:
    return value is None or (isinstance(value, Real) and not isinstance(value, bool))
