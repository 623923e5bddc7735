"""The jobs that wait for their time: run one now, cancel one."""

from celery import Celery
from tornado.web import url

from tasks.monitor.page import PAGE_SIZE, Deed
from tasks.monitor.pages.waiting import Waiting
from tasks.pending import Page as Listed
from tasks.pending import Pending
from tasks.queues import Queue, Queues


class Delayed(Waiting):
    """The jobs that wait for their time."""

    async def get(self) -> None:
        """Show a page of them."""
        cursor = self.asked("cursor")

        def look(app: Celery) -> tuple[tuple[Queue, ...], Listed]:
            found = Pending(app).delayed(cursor=cursor, limit=PAGE_SIZE)
            return Queues(app).list(), found

        queues, found = await self.of_app(look)
        self.show("delayed.html", queues=queues, found=found, is_first=cursor is None)


class OneDelayed(Waiting):
    """One of them."""

    def list_link(self) -> str:
        """Return the address of their list."""
        return self.link("delayed")


class RunNow(OneDelayed):
    """Runs a delayed job now."""

    async def post(self) -> None:
        """Do it."""
        ref = self.ref
        job = await self.of_app(lambda app: Pending(app).show_delayed(ref))
        said = await self.act(
            Deed("run a delayed job now", job.name),
            lambda app: Pending(app).run_now(ref),
            lambda _: f"The job {job.name} is the next of the queue {job.queue}.",
        )
        self.leave(said, self.link("delayed"))


class Cancel(OneDelayed):
    """Cancels a delayed job, once it was asked about."""

    async def get(self) -> None:
        """Ask."""
        ref = self.ref
        job = await self.of_app(lambda app: Pending(app).show_delayed(ref))
        then = "It will not run. Its state is Cancelled then."
        self.ask(f"Cancel the job {job.name}?", then, "Cancel it", self.link("delayed"))

    async def post(self) -> None:
        """Do it."""
        ref = self.ref
        job = await self.of_app(lambda app: Pending(app).show_delayed(ref))
        said = await self.act(
            Deed("cancel a delayed job", job.name),
            lambda app: len([Pending(app).cancel(ref)]),
            lambda _: f"The job {job.name} is cancelled.",
        )
        self.leave(said, self.link("delayed"))


ROUTES = [
    url(r"/pending/delayed", Delayed, name="delayed"),
    url(r"/pending/delayed/run-now", RunNow, name="delayed-run-now"),
    url(r"/pending/delayed/cancel", Cancel, name="delayed-cancel"),
]
