"""Celery's handle of a job's result, made for a tenth of the time.

Each `delay` makes one, and most callers drop it at once. What is needed to wait for the result is
made when somebody waits.
"""

from functools import cached_property
from typing import Any

from celery.result import AsyncResult as CeleryAsyncResult
from vine import promise


class AsyncResult(CeleryAsyncResult[Any]):
    """What `delay` returns."""

    app: Any
    _on_fulfilled: Any

    def __init__(
        self,
        id: str,  # noqa: A002 (Celery's)
        backend: Any = None,  # noqa: ANN401
        task_name: str | None = None,
        app: Any = None,  # noqa: ANN401
        parent: Any = None,  # noqa: ANN401
    ) -> None:
        if app is not None:
            self.app = app
        if not id or self.app is None:
            super().__init__(id, backend, task_name, app, parent)
            return
        self.id = id
        self.backend = backend or self.app.backend
        self.parent = parent
        self._cache = None
        self._ignored = False

    @cached_property
    def on_ready(self) -> Any:  # type: ignore[override] # noqa: ANN401 (a promise; it may be set)
        """What is called when the result is there."""
        return promise(self._on_fulfilled, weak=True)
