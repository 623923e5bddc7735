"""The entries of the schedule on the broker's server: what beat tells of them, and what it is told.

Times are seconds since 1970, as text: a step compares them as they were read.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.beat import scripts
from tasks.beat.recorder import Recorded
from tasks.broker.access import Server

KEY = "expresslane-schedule"
HEARD = "expresslane-beat"
"""The key that is there while a beat is heard of."""

SILENT_SECONDS = 15
"""A beat that has not looked for so long does not run. It looks each second."""

TICK, ASKED = "base", "asked"


@dataclass(frozen=True)
class State:
    """What beat must know of one entry; None for what is not set."""

    base: str | None
    next: str | None
    paused: str | None
    asked: str | None


@dataclass(frozen=True)
class Run:
    """One run of an entry, to be written down with its messages."""

    kind: str
    """TICK or ASKED."""
    expected: str
    """What the field of this kind must be, so that nobody else was faster."""
    now: float
    job_id: str
    next: float | None
    messages: Sequence[Recorded]
    error: str = ""


class EntryStore:
    """The entries on one server."""

    def __init__(self, server: Server) -> None:
        self._client = server.client
        self._key = server.key(KEY)
        self._heard = server.key(HEARD)
        script = server.client.register_script
        self._tell = script(scripts.TELL)
        self._tick = script(scripts.TICK)
        self._pause = script(scripts.PAUSE)
        self._resume = script(scripts.RESUME)
        self._ask = script(scripts.ASK)

    # -- for beat ----------------------------------------------------------------------------------

    def tell(self, entries: Mapping[str, Mapping[str, Any]], app: str, now: float) -> None:
        """Make these the entries of this app; others of it, of an earlier beat, are forgotten."""
        old = [name for name, about in self.about().items() if about.get("app") == app]
        with self._client.pipeline(transaction=True) as pipe:
            for name in set(old) - set(entries):
                pipe.srem(self._key, name)
                pipe.delete(self._entry(name))
            for name, about in entries.items():
                text = json.dumps({**about, "app": app}, default=repr)
                keys = [self._key, self._entry(name)]
                self._tell(keys, [name, text, f"{now:.6f}"], client=pipe)
            pipe.execute()

    def states(self, names: Sequence[str]) -> dict[str, State]:
        """Return what there is to know of these entries."""
        with self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hmget(self._entry(name), "base", "next", "paused", "asked")
            rows = pipe.execute()
        return {
            name: State(*(None if value is None else value.decode() for value in row))
            for name, row in zip(names, rows, strict=True)
        }

    def tick(self, name: str, run: Run) -> bool:
        """Put the messages into their queues and write the run down; False: it was done already."""
        keys = [key for found in run.messages for key in (found.list_key, found.queue_key)]
        arguments: list[Any] = [
            *(run.kind, run.expected, f"{run.now:.6f}", run.job_id, _text(run.next), run.error),
            *(found.message for found in run.messages),
        ]
        return bool(self._tick([self._entry(name), *keys], arguments))

    def set_next(self, name: str, at: float) -> None:
        """Write down when the entry's next time is."""
        self._client.hset(self._entry(name), "next", f"{at:.6f}")

    def be_heard(self, beat: str) -> None:
        """Write down that a beat runs."""
        self._client.set(self._heard, beat, ex=SILENT_SECONDS)

    # -- for people --------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the names of all entries."""
        found: Iterable[bytes] = self._client.smembers(self._key)  # type: ignore[assignment] # nothing decodes
        return sorted(name.decode() for name in found)

    def fields(self, names: Sequence[str]) -> list[dict[str, str]]:
        """Return all that is kept of these entries."""
        with self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(self._entry(name))
            return [{k.decode(): v.decode() for k, v in row.items()} for row in pipe.execute()]

    def about(self) -> dict[str, dict[str, Any]]:
        """Return what beats have told of all entries."""
        names = self.names()
        return {
            name: json.loads(found.get("about", "{}"))
            for name, found in zip(names, self.fields(names), strict=True)
        }

    def is_heard(self) -> bool:
        """Tell whether any beat runs."""
        return bool(self._client.exists(self._heard))

    def pause(self, name: str) -> bool:
        """Pause an entry; False: it was."""
        return bool(self._pause([self._entry(name)]))

    def resume(self, name: str) -> bool:
        """Resume an entry; False: it was not paused."""
        return bool(self._resume([self._entry(name)]))

    def ask(self, name: str) -> bool:
        """Ask for a run of an entry; False: somebody has asked already."""
        return bool(self._ask([self._entry(name)]))

    def _entry(self, name: str) -> str:
        return f"{self._key}:{name}"


def _text(at: float | None) -> str:
    return "" if at is None else f"{at:.6f}"
