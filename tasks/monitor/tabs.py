"""What a page says of itself, and the counts that stand in the tabs."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from celery import Celery
from tornado.routing import URLSpec

from tasks.errors import Unreachable
from tasks.monitor.background import in_background

FRESH_SECONDS = 2.0
"""How old a count in a tab may be before it is asked for again."""

PATIENCE = 0.3
"""Seconds that a page waits for the counts in its tabs: then it shows the ones it has."""

Count = Callable[[Celery], int]


@dataclass(frozen=True)
class Tab:
    """A page, or several that belong together."""

    name: str
    """The name of its first route, which is where the tab leads."""
    title: str
    routes: Sequence[URLSpec]
    count: Count | None = None
    """What stands in the tab, when it is not 0."""
    warns: bool = True
    """Whether somebody should look when that is so."""
    is_shown: bool = True


class Counts:
    """The counts of the tabs of one app, kept for a moment."""

    def __init__(self, tabs: Sequence[Tab]) -> None:
        self._counted = {tab.name: tab.count for tab in tabs if tab.count is not None}
        self._found: dict[str, int] = {}
        self._asked = -FRESH_SECONDS
        self._asking: asyncio.Task[None] | None = None

    def of(self, name: str) -> int:
        """Return the count of this tab, as far as it is known; 0 otherwise."""
        return self._found.get(name, 0)

    async def refresh(self, app: Celery, *, now: bool = False) -> None:
        """Ask for the counts if they are old, and wait a moment for the answer."""
        if self._asking is None and (now or monotonic() - self._asked > FRESH_SECONDS):
            self._asking = asyncio.create_task(self._ask(app))
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=PATIENCE)

    async def _ask(self, app: Celery) -> None:
        try:
            with suppress(Unreachable):
                self._found = await in_background(lambda: self._count(app))
        finally:
            self._asked, self._asking = monotonic(), None

    def _count(self, app: Celery) -> dict[str, int]:
        return {name: count(app) for name, count in self._counted.items()}
