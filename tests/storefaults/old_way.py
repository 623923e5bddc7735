"""The way without an outbox: commit, then `delay()`. It is there to show what the count can see."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from celery import Task
from sqlalchemy import event
from sqlalchemy.orm import Session

from tasks import outbox, scheduler
from tasks.errors import Unreachable

Moment = Callable[[str], None]


def take(die_if_armed: Moment) -> None:
    """Have this process publish an order's jobs after its commit, and keep no row of them."""

    def schedule(
        session: Session,
        task: Task[..., Any] | str,
        data: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> str:
        name = task if isinstance(task, str) else task.name
        job_id = outbox.new_row(task, data, **options)["id"]

        def publish(_: Session) -> None:
            for moment in ("committed", "answered"):
                die_if_armed(moment)
            try:
                scheduler.schedule(name, dict(data or {}), job_id=job_id)
            except Unreachable:
                # What the store of old did: it wrote that to its log, and answered.
                return

        event.listen(session, "after_commit", publish, once=True)
        return job_id

    # `outbox.enqueue` is a function; the module of that name holds what it calls.
    import_module("tasks.outbox.enqueue").schedule = schedule  # type: ignore[attr-defined] # it does
    outbox.schedule = schedule  # type: ignore[assignment]
