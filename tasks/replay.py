"""A job that goes Celery's way after its body has run: see `tasks/fastpath/`."""

from dataclasses import dataclass
from typing import Any

FIELD = "replay"
"""The name of a request's field that holds it."""


@dataclass(frozen=True)
class Replay:
    """What has happened to a job before Celery's tracer got it.

    No message can hold one, because it is no JSON.
    """

    error: BaseException | None
    """What its body has raised, or what kept its success from being recorded."""
    result: Any = None
    """What its body has returned, if nothing was raised and Celery is to hand it on."""


def replay_of(request: Any) -> Replay | None:  # noqa: ANN401 (Celery's Context, or nothing)
    """Return the request's; None if its body is still to run."""
    found = getattr(request, FIELD, None)
    return found if isinstance(found, Replay) else None
