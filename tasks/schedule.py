"""The schedule: what beat puts into queues by the clock. Look at it, pause an entry, run it now.

    from tasks import schedule

    for entry in schedule.list():
        print(entry.name, entry.words, entry.last_run_at, entry.next_run_at)
    schedule.pause("prune")
    schedule.run_now("prune")

Entries are written in `beat_schedule` of celeryconfig.py; beat tells the broker of them, so
an entry is known once a beat with it was started. What is asked for here is kept there too, and
obeyed within a second or two by whichever beat runs, or by the next one that starts.

`celery -A tasks schedule list|run|pause|resume` does the same in a terminal.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from celery import Celery

from config.masking import rules
from tasks.beat.store import EntryStore
from tasks.broker.access import reachable, server_of
from tasks.celery import app as tasks_app
from tasks.errors import NoSuchEntry

__all__ = ["Entry", "Schedule", "is_running", "list", "pause", "resume", "run_now", "show"]

_PERHAPS = "it may have been done; look at the schedule before you do it again"


@dataclass(frozen=True)
class Entry:
    """One entry of the schedule."""

    name: str
    task: str
    words: str
    """Its schedule, such as `every 30 seconds` or `at 02:00 every day`."""
    timezone: str
    """What its times of day mean, such as `UTC`."""
    queue: str | None
    """The queue that it names; None for the task's own."""
    args: tuple[Any, ...]
    data: Mapping[str, Any]
    last_run_at: datetime | None
    """When it last put a job into a queue, in UTC; None when it never did."""
    last_job_id: str | None
    next_run_at: datetime | None
    """When its next time is, in UTC; None while it is paused, or the schedule cannot tell."""
    total_runs: int
    paused_at: datetime | None
    requested_at: datetime | None
    """When somebody asked to run it now, while beat has not done so yet."""
    error: str | None
    """Why its last time was left out (its job could not be made), or None."""

    @property
    def is_paused(self) -> bool:
        """Tell whether it is paused."""
        return self.paused_at is not None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can carry it; what `config/masking.py` hides is hidden."""
        found = {**asdict(self), "args": [*self.args], "data": dict(self.data)}
        shown = {name: rules().value(found[name]) for name in ("args", "data", "error")}
        times = {
            name: value.isoformat() for name, value in found.items() if isinstance(value, datetime)
        }
        return {**found, **shown, **times}


class Schedule:
    """The schedule of one app. The functions of this module are those of `tasks.celery.app`."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def list(self) -> tuple[Entry, ...]:
        """Return all entries, by name.

        Raises:
            Unreachable: when the broker did not answer. So does every function here.

        """
        with reachable("ask again later"):
            store = self._store()
            names = store.names()
            found = zip(names, store.fields(names), strict=True)
        return tuple(_entry(name, fields) for name, fields in found if fields)

    def show(self, name: str) -> Entry:
        """Return one entry.

        Raises:
            NoSuchEntry: when there is none of this name. So do the functions below.

        """
        with reachable("ask again later"):
            (fields,) = self._store_with(name).fields([name])
        return _entry(name, fields)

    def is_running(self) -> bool:
        """Tell whether a beat was heard of in the last 15 seconds. Without one, nothing runs."""
        with reachable("ask again later"):
            return self._store().is_heard()

    def pause(self, name: str) -> bool:
        """Have beat leave the entry out until `resume`; False: it was paused already."""
        with reachable(_PERHAPS):
            return self._store_with(name).pause(name)

    def resume(self, name: str) -> bool:
        """Have beat obey the entry again, from its next time on; False: it was not paused.

        What would have run while it was paused is left out.
        """
        with reachable(_PERHAPS):
            return self._store_with(name).resume(name)

    def run_now(self, name: str) -> bool:
        """Have beat run the entry once, besides its times; also one that is paused.

        False: that was asked for already, and has not been done yet.
        """
        with reachable(_PERHAPS):
            return self._store_with(name).ask(name)

    def _store(self) -> EntryStore:
        return EntryStore(server_of(self._app))

    def _store_with(self, name: str) -> EntryStore:
        store = self._store()
        names = tuple(store.names())
        if name not in names:
            raise NoSuchEntry(name, names)
        return store


def _entry(name: str, fields: Mapping[str, str]) -> Entry:
    about = json.loads(fields.get("about", "{}"))
    paused_at = _time(fields.get("paused"))
    return Entry(
        name=name,
        task=str(about.get("task")),
        words=str(about.get("words")),
        timezone=str(about.get("timezone")),
        queue=about.get("queue"),
        args=tuple(about.get("args") or ()),
        data=about.get("data") or {},
        last_run_at=_time(fields.get("last")),
        last_job_id=fields.get("job"),
        next_run_at=None if paused_at else _time(fields.get("next")),
        total_runs=int(fields.get("total", 0)),
        paused_at=paused_at,
        requested_at=_time(fields.get("asked")),
        error=fields.get("error"),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromtimestamp(float(text), UTC) if text else None


_schedule = Schedule(tasks_app)
is_running = _schedule.is_running
list = _schedule.list  # noqa: A001 (`schedule.list` says what it does)
pause = _schedule.pause
resume = _schedule.resume
run_now = _schedule.run_now
show = _schedule.show
