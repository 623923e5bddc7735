"""When jobs may take the short way: nobody in this process waits for what it leaves out."""

import logging
from types import FunctionType
from typing import Any

from celery import Task, signals
from celery.app import trace
from celery.loaders.base import BaseLoader
from celery.worker import request, strategy

from tasks import tracing
from tasks.fastpath.states import States
from tasks.job import Job
from tasks.results import JobResults

_HEARD = (
    (signals.task_received, tracing.RECEIVERS),
    (signals.task_prerun, tracing.RECEIVERS),
    (signals.task_postrun, tracing.RECEIVERS),
    (signals.task_success, 0),
)
"""Signals of a job that succeeds, and how many of our own listen to each."""

_LINES = (
    (trace.logger, logging.INFO),
    (strategy.logger, logging.INFO),
    (request.logger, logging.DEBUG),
)
"""Celery's own lines of each job that succeeds: who writes them, and of which level they are.
`config/logging.py` switches off the former two."""

_CELERYS = (
    (trace, ("build_tracer", "trace_task", "fast_trace_task")),
    (request.Request, ("execute_using_pool", "on_accepted", "on_success")),
    (request, ("create_request_cls",)),
    (strategy, ("default",)),
)
"""What tools that watch jobs replace, as those of Sentry and New Relic do."""


def nobody_listens() -> bool:
    """Tell whether what happens to a job that succeeds is of interest to this project alone."""
    for signal, ours in _HEARD:
        if len(signal.receivers or ()) != ours:
            return False
    return not any(logger.isEnabledFor(level) for logger, level in _LINES)


def nothing_is_replaced() -> bool:
    """Tell whether all that the short way stands for is Celery's own code."""
    return all(_is_from(vars(owner)[name], owner) for owner, names in _CELERYS for name in names)


def is_plain(task: Task[..., Any]) -> bool:
    """Tell whether the task adds nothing to the way of its jobs: no hooks, no own requests."""
    kind = type(task)
    return (
        isinstance(task, Job)
        and kind.__call__ is Job.__call__
        and kind.Request == Job.Request
        and kind.Strategy == Task.Strategy
        and not any(trace.task_has_custom(task, hook) for hook in ("before_start", "on_success"))
        and not trace.task_has_custom(task, "after_return")
        and bool(task.acks_late)
        and isinstance(task.backend, JobResults)
        and States.are_possible(task.backend)
    )


def does_nothing(loader: Any) -> bool:  # noqa: ANN401 (any loader of Celery's)
    """Tell whether the loader has nothing to do before and after each job."""
    kind = type(loader)
    return (
        kind.on_task_init is BaseLoader.on_task_init
        and kind.on_process_cleanup is BaseLoader.on_process_cleanup
    )


def _is_from(found: object, owner: Any) -> bool:  # noqa: ANN401 (a module or a class)
    module = owner.__name__ if hasattr(owner, "__spec__") else owner.__module__
    return (
        isinstance(found, FunctionType)
        and not hasattr(found, "__wrapped__")
        and found.__globals__["__name__"] == module
    )
