"""Somebody who hears the events of all workers, as Flower does."""

from threading import Event, Thread
from typing import Any, Self

from celery.events.receiver import EventReceiver

from tasks.celery import app


class Listener:
    """Hears the events of all workers, as Flower does."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self._ends, self._listens = Event(), Event()
        self._thread = Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listens.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def of(self, job_id: str) -> list[str]:
        """Return the types of a job's events that a worker has sent, in order."""
        return [
            one["type"]
            for one in list(self.heard)
            if one.get("uuid") == job_id and one["type"] != "task-sent"
        ]

    def _run(self) -> None:
        with app.connection_for_read() as connection:
            receiver: Any = EventReceiver(connection, handlers={"*": self.heard.append}, app=app)
            with receiver.consumer_context() as (open_connection, _, __):
                self._listens.set()
                while not self._ends.is_set():
                    try:
                        open_connection.drain_events(timeout=0.2)
                    except TimeoutError:
                        continue
