"""When a job was put into its queue: a header of its message, for the age of what waits.

Every publish sets it anew, that of a retry too: it tells since when the message waits, not since
when somebody wants the job done. A message that goes back to its queue, because its worker stopped
or died, keeps it. The time is that of the producer's clock.
"""

from collections.abc import Mapping
from datetime import datetime
from time import time
from typing import Any

from celery.utils.time import maybe_iso8601, maybe_make_aware

from tasks.along import SENT_ALONG

HEADER = "enqueued_at"
"""The field of a job's message that carries the time, in seconds since 1970."""


def connect() -> None:
    """Have Celery call this module at each publish. Called once, where the app is made."""
    if _note not in SENT_ALONG:
        SENT_ALONG.append(_note)


def waiting_since(headers: Mapping[str, Any]) -> float | None:
    """Return since when a message could have been run, in seconds since 1970.

    That is when it was published, or when it was due if that was later. None: nobody noted it.
    """
    noted = headers.get(HEADER)
    if isinstance(noted, bool) or not isinstance(noted, (int, float)) or not 0 <= noted < 1e11:
        return None
    return max(float(noted), _due(headers) or 0.0)


def _due(headers: Mapping[str, Any]) -> float | None:
    if not isinstance(headers.get("eta"), str):
        return None
    try:
        due: datetime = maybe_make_aware(maybe_iso8601(headers["eta"]))  # type: ignore[arg-type] # never None
        return float(due.timestamp())
    except (AttributeError, TypeError, ValueError, OverflowError):
        return None


def _note(headers: dict[str, Any]) -> None:
    headers[HEADER] = time()
