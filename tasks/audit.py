"""Who changed what: a line for every change that a person makes to jobs and queues.

    audit.record(app, who="ada", what="retry failed jobs", which="task=orders.record", count=12)
    for line in audit.newest(app, 20): ...

Each is logged, and kept on the broker's server in the stream `expresslane-audit`, from which the
oldest make room: `AUDIT_LIMIT`. What is recorded names jobs, never their data.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from config import bound as log_fields
from config.masking import rules
from config.settings import framework_settings
from tasks.broker.access import reachable, server_of
from tasks.errors import BadCursor

KEY = "expresslane-audit"

LONGEST = 500
"""Characters of a part of a line that are kept."""

_logger = logging.getLogger("tasks.audit")


@dataclass(frozen=True)
class Change:
    """One change by a person."""

    id: str
    at: datetime
    """In UTC, by the clock of the broker's server."""
    who: str
    what: str
    which: str
    """The job, the queue, or the filter."""
    count: int
    """How many jobs, messages or queues it was."""


def record(app: Celery, *, who: str, what: str, which: str, count: int = 1) -> None:
    """Log the change and keep it. Never raises: the change is made, and the log has it."""
    fields = {"who": who, "what": what, "which": rules().text(which)}
    fields = {name: value[:LONGEST] for name, value in fields.items()}
    tokens = log_fields.bind({**fields, "count": str(count)})
    _logger.info("changed by an operator")
    log_fields.unbind(tokens)
    try:
        server = server_of(app)
        kept: dict[Any, Any] = {**fields, "count": count}
        limit = framework_settings().audit_limit
        server.client.xadd(server.key(KEY), kept, maxlen=limit, approximate=True)
    except (redis.RedisError, OperationalError) as error:
        _logger.warning("that change stands in this log only: %s", error)


def newest(app: Celery, limit: int = 50, before: str | None = None) -> list[Change]:
    """Return the latest changes, the newest first.

    Args:
        app: whose broker.
        limit: how many at most.
        before: the id of a change, to get those that came before it.

    Raises:
        Unreachable: when the broker did not answer.
        BadCursor: when `before` is no id.

    """
    last = "+" if before is None else f"({before}"
    try:
        with reachable("ask again later"):
            server = server_of(app)
            rows: Any = server.client.xrevrange(server.key(KEY), max=last, count=limit)
    except redis.ResponseError as error:
        raise BadCursor(str(before)) from error
    return [_read(message_id.decode(), fields) for message_id, fields in rows]


def _read(message_id: str, fields: dict[bytes, bytes]) -> Change:
    text = {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
    at = datetime.fromtimestamp(int(message_id.partition("-")[0]) / 1_000, UTC)
    who, what, which = (text.get(name, "") for name in ("who", "what", "which"))
    return Change(message_id, at, who, what, which, int(text.get("count", "1")))
