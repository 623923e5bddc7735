"""What is known of an app for as long as its settings are as they are.

Looking a setting up takes Celery some microseconds, and a job's message depends on a dozen of them.
"""

import os
from collections.abc import Mapping
from time import monotonic
from typing import Any

from celery import Celery, Task, _state
from celery.app.routes import MapRoute

from tasks.broker.kinds import Kind, kind_of
from tasks.broker.pattern import Pattern

_MOST_KINDS = 1_000


class Prepared:
    """What one process knows of its app."""

    def __init__(self, app: Any) -> None:  # noqa: ANN401 (Celery's types leave half of it out)
        self._conf = app.conf
        self._changes = dict(self._conf.changes or {})
        self._pid = os.getpid()
        self.amqp: Any = app.amqp
        self.repr_levels: int = self._conf.task_repr_maxlevels
        self.inherits_priority = bool(self._conf.task_inherit_parent_priority)
        self.is_eager = bool(self._conf.task_always_eager)
        # Any other route may look at a job's data.
        self.routes_by_name = all(isinstance(route, MapRoute) for route in app.amqp.router.routes)
        self._patterns: dict[Kind, Pattern] = {}
        self._plain: dict[Task[..., Any], PlainCall | None] = {}

    def is_of(self, app: Any) -> bool:  # noqa: ANN401 (see above)
        """Tell whether it is still true."""
        conf = app.conf
        return (
            conf is self._conf
            and (conf.changes or {}) == self._changes
            and os.getpid() == self._pid
        )

    def pattern_of(self, kind: Kind | None) -> Pattern | None:
        """Return the pattern of this kind; None if there is none, or it is to be learnt again."""
        if kind is None or not self.routes_by_name or Celery.send_task is not _send_task:
            return None
        found = self._patterns.get(kind)
        return found if found is not None and monotonic() < found.until else None

    def learn(self, kind: Kind, pattern: Pattern) -> None:
        """Keep a pattern."""
        if len(self._patterns) >= _MOST_KINDS:
            self._patterns.clear()
        self._patterns[kind] = pattern

    def plain_call_of(self, task: Task[..., Any]) -> "PlainCall | None":
        """Return what is known of calls of the task without options; None: Celery makes them."""
        if Task.apply_async is not _apply_async:
            return None
        try:
            found = self._plain[task]
        except KeyError:
            found = self._plain[task] = None if self.is_eager else PlainCall.of(task)
        if found is None or found.is_of(task):
            return found
        del self._plain[task]
        return self.plain_call_of(task)


class PlainCall:
    """A call of a task with its arguments alone: `task.delay(...)`."""

    __slots__ = ("_exec_options", "_ignores", "kind", "options")

    def __init__(self, task: Any, options: Mapping[str, Any], kind: Kind) -> None:  # noqa: ANN401 (the types leave half of it out)
        self._exec_options = task._exec_options  # noqa: SLF001 (as apply_async does)
        self._ignores = task.ignore_result
        self.options = options
        """What Celery's `apply_async` would give to `send_task`."""
        self.kind = kind

    @classmethod
    def of(cls, task: Any) -> "PlainCall | None":  # noqa: ANN401 (see above)
        """Look at a task; None if Celery does more for it than can be prepared."""
        kind_of_task = type(task)
        is_usual = (
            task._backend is None  # noqa: SLF001 (as apply_async does)
            and kind_of_task.shadow_name is Task.shadow_name
            and kind_of_task.AsyncResult is Task.AsyncResult
            and task._dump_pydantic_arguments is None  # noqa: SLF001 (as apply_async does)
            and not task.__v2_compat__
        )
        options = own_options(task)
        kind = kind_of(task.name, options) if is_usual else None
        return cls(task, options, kind) if kind is not None else None

    def is_of(self, task: Any) -> bool:  # noqa: ANN401 (see above)
        """Tell whether it is still true: somebody may set a task's attributes."""
        return (
            task._exec_options is self._exec_options  # noqa: SLF001 (as apply_async does)
            and task.ignore_result is self._ignores
            and task._backend is None  # noqa: SLF001 (likewise)
        )


def running_task(app: Any) -> Any:  # noqa: ANN401 (see above)
    """Return the task whose job this thread runs; None outside of a worker.

    Celery's `current_worker_task`, which takes longest where no thread runs any.
    """
    return None if _threads_with_tasks == {} else app.current_worker_task


_stack = getattr(_state, "_task_stack", None)
_threads_with_tasks = getattr(getattr(_stack, "_local", None), "__storage__", None)
"""None, too, should Celery keep them in another way one day."""


def own_options(task: Any) -> dict[str, Any]:  # noqa: ANN401 (see above)
    """Return the options that Celery adds to a call of the task itself."""
    own = {name: value for name, value in task._get_exec_options().items() if value is not None}  # noqa: SLF001 (as apply_async does)
    return {**own, "ignore_result": task.ignore_result, "task_type": task}


def is_as_made() -> bool:
    """Tell whether nobody has put something around `apply_async` or `send_task`."""
    return Task.apply_async is _apply_async and Celery.send_task is _send_task


def _is_own(way: Any, home: str) -> bool:  # noqa: ANN401 (a function, or whatever stands for it)
    return bool(getattr(way, "__globals__", {}).get("__name__") == home)


# Tracers put something of their own around these two, and it must be called for each job.
_send_task = Celery.send_task if _is_own(Celery.send_task, Celery.__module__) else None
_apply_async = Task.apply_async if _is_own(Task.apply_async, Task.__module__) else None
