"""Queues: how long each is, who works on it; pause it and resume it. And the workers themselves."""

from celery import Celery
from tornado.web import url

from tasks.liveness import ConsumingWorker, workers_of
from tasks.monitor.page import Deed, Page
from tasks.monitor.tabs import Tab
from tasks.queues import Queue, Queues

VERBS = {"pause": "paused", "resume": "resumed"}


class QueueList(Page):
    """All queues, and all workers that were heard of within a day."""

    tab = "queues"

    async def get(self) -> None:
        """Show them."""

        def look(app: Celery) -> tuple[tuple[Queue, ...], tuple[ConsumingWorker, ...]]:
            return Queues(app).list(), workers_of(app)

        queues, workers = await self.of_app(look)
        self.show("queues.html", queues=queues, workers=workers)


class Switch(Page):
    """Pauses a queue, or resumes it."""

    tab = "queues"

    async def post(self, queue: str, verb: str) -> None:
        """Do it."""

        def call(app: Celery) -> int:
            return int(Queues(app).pause(queue) if verb == "pause" else Queues(app).resume(queue))

        def says(count: int) -> str:
            what = "is" if count else "was already"
            more = " What workers have claimed already still runs." if verb == "pause" else ""
            return f"The queue {queue} {what} {VERBS[verb]}.{more}"

        self.leave(await self.act(Deed(f"{verb} a queue", queue), call, says), self.link("queues"))


def _not_consumed(app: Celery) -> int:
    """Return how many queues hold jobs that nobody takes."""
    return sum(
        queue.length > 0 and not queue.is_consumed and not queue.is_paused
        for queue in Queues(app).list()
    )


TAB = Tab(
    "queues",
    "Queues",
    [
        url(r"/queues", QueueList, name="queues"),
        url(r"/queues/(.+)/(pause|resume)", Switch, name="queue-switch"),
    ],
    _not_consumed,
    warns=True,
)
