"""Messages that could not become jobs, kept aside byte for byte with the reason.

    from tasks import quarantine

    quarantine.count()
    for found in quarantine.newest(20):
        print(found.queue, found.reason, found.message[:80])

Nothing of it runs again by itself. Who has mended the bytes or the code puts a message back with
`put_back`; who wants none of it calls `discard`; `put_back_all` and `discard_all` do it to all. The
newest `QUARANTINE_LIMIT` are kept, and `total` counts all that ever came.
"""

import builtins
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis
from celery import Celery

from config.masking import rules
from tasks.broker import scripts
from tasks.broker.access import Server, reachable, server_of
from tasks.celery import app as tasks_app
from tasks.errors import BadCursor, NoSuchMessage
from tasks.queued.job import Outcome
from tasks.raw import readable

Progress = Callable[[int, int], object]
"""Called with how many messages were handled, and how many there are to handle."""

STEP = 100
"""Messages that are handled in one trip to the server."""


@dataclass(frozen=True)
class Quarantined:
    """One message in quarantine."""

    id: str
    queue: str
    reason: str
    """`ErrorType: message`, as far as it was understood."""
    at: datetime
    """When it was put here, in UTC."""
    message: bytes
    """All of it, as it was on the queue's list."""

    def as_json(self, *, reveal: bool = False) -> dict[str, Any]:
        """Return it as JSON can carry it, masked (`tasks/raw.py`) unless it is to be revealed."""
        return {
            "id": self.id,
            "queue": self.queue,
            "reason": self.reason if reveal else rules().text(self.reason),
            "at": self.at.isoformat(),
            "size": len(self.message),
            "message": readable(self.message, reveal=reveal),
        }


class Quarantine:
    """The quarantine of one app. The functions of this module are those of `tasks.celery.app`."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def count(self) -> int:
        """Return how many messages are kept.

        Raises:
            Unreachable: when the broker did not answer. So does every function here.

        """
        with self._server() as server:
            return int(server.client.xlen(server.keys.quarantine))

    def total(self) -> int:
        """Return how many messages have ever been put here."""
        with self._server() as server:
            return int(server.client.get(f"{server.keys.quarantine}.count") or 0)

    def newest(self, most: int = 50, before: str | None = None) -> builtins.list[Quarantined]:
        """Return the messages that came last, the newest first.

        Args:
            most: how many at most.
            before: the id of a message, to get those that came before it.

        Raises:
            BadCursor: when `before` is no id.

        """
        last = "+" if before is None else f"({before}"
        with self._server() as server:
            try:
                rows = server.client.xrevrange(server.keys.quarantine, max=last, count=most)
            except redis.ResponseError as error:
                raise BadCursor(str(before)) from error
        return [_read(row) for row in rows or ()]

    def show(self, message_id: str) -> Quarantined:
        """Return one message.

        Raises:
            NoSuchMessage: when none of this id is kept.

        """
        with self._server() as server:
            try:
                rows = server.client.xrange(server.keys.quarantine, message_id, message_id)
            except redis.ResponseError as error:
                raise NoSuchMessage(message_id) from error
        if not rows:
            raise NoSuchMessage(message_id)
        return _read(rows[0])

    def put_back(self, message_id: str) -> Quarantined:
        """Put the message behind what waits in its queue, in the step that takes it from here.

        Raises:
            NoSuchMessage: when none of this id is kept; somebody else may have been faster.

        """
        found = self.show(message_id)
        with self._server() as server:
            keys = [server.keys.quarantine, server.key(found.queue)]
            moved = server.client.register_script(scripts.RELEASE)(keys, [message_id])
        if not moved:
            raise NoSuchMessage(message_id)
        return found

    def discard(self, message_id: str) -> None:
        """Throw the message away.

        Raises:
            NoSuchMessage: when none of this id is kept.

        """
        with self._server() as server:
            try:
                gone = server.client.xdel(server.keys.quarantine, message_id)
            except redis.ResponseError as error:
                raise NoSuchMessage(message_id) from error
        if not gone:
            raise NoSuchMessage(message_id)

    def put_back_all(self, progress: Progress | None = None) -> Outcome:
        """Put what is here by now back, the oldest first, each message as `put_back` does.

        What still is no job comes here again, under a new id.

        Raises:
            Unreachable: when the broker did not answer; some may have been put back.

        """

        def put_back(server: Server, found: builtins.list[Quarantined]) -> builtins.list[Any]:
            with server.client.pipeline(transaction=False) as pipe:
                release = server.client.register_script(scripts.RELEASE)
                for one in found:
                    keys = [server.keys.quarantine, server.key(one.queue)]
                    release(keys, [one.id], client=pipe)
                return pipe.execute()

        return self._all(put_back, progress)

    def discard_all(self, progress: Progress | None = None) -> Outcome:
        """Throw away what is here by now.

        Raises:
            Unreachable: when the broker did not answer; some may have been thrown away.

        """

        def discard(server: Server, found: builtins.list[Quarantined]) -> builtins.list[Any]:
            with server.client.pipeline(transaction=False) as pipe:
                for one in found:
                    pipe.xdel(server.keys.quarantine, one.id)
                return pipe.execute()

        return self._all(discard, progress)

    def _all(
        self,
        handle: Callable[[Server, builtins.list[Quarantined]], builtins.list[Any]],
        progress: Progress | None,
    ) -> Outcome:
        """Handle what is here by now in steps; `handle` returns for each whether it was here."""
        done = seen = 0
        with reachable("some may be done; the list tells which are left"):
            server = server_of(self._app)
            total, newest = self.count(), self.newest(1)
            first, last = "-", newest[0].id if newest else "-"
            while rows := server.client.xrange(server.keys.quarantine, first, last, count=STEP):
                found = [_read(row) for row in rows]
                done, seen = done + sum(map(bool, handle(server, found))), seen + len(found)
                first = f"({found[-1].id}"
                if progress is not None:
                    progress(seen, max(seen, total))
        return Outcome(done, seen - done)

    @contextmanager
    def _server(self) -> Iterator[Server]:
        with reachable("ask again later"):
            yield server_of(self._app)


def _read(row: Any) -> Quarantined:  # noqa: ANN401 (redis-py's types allow for text as well)
    message_id, fields = row
    about = json.loads(fields[b"about"])
    return Quarantined(
        id=message_id.decode(),
        queue=str(about["queue"]),
        reason=str(about["reason"]),
        at=datetime.fromtimestamp(float(about["at"]), UTC),
        message=fields[b"message"],
    )


_quarantine = Quarantine(tasks_app)
count = _quarantine.count
discard = _quarantine.discard
discard_all = _quarantine.discard_all
newest = _quarantine.newest
put_back = _quarantine.put_back
put_back_all = _quarantine.put_back_all
show = _quarantine.show
total = _quarantine.total
