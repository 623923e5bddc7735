"""Pending: the jobs that wait in each queue; one of them has a page of its own (`waiting.py`)."""

from celery import Celery
from tornado.web import HTTPError, url

from tasks.monitor.limits import MANY_SECONDS, TimeIsUp, until
from tasks.monitor.page import PAGE_SIZE, Deed, Said
from tasks.monitor.pages import delayed, waiting
from tasks.monitor.pages.waiting import Waiting
from tasks.monitor.shown import counted
from tasks.monitor.tabs import Tab
from tasks.pending import LAST, NEXT, Pending
from tasks.pending import Page as Listed
from tasks.queues import Queue, Queues


class PendingList(Waiting):
    """The jobs of one queue, from either end."""

    async def get(self) -> None:
        """Show a page of them."""
        chosen, cursor, end = self.asked("queue"), self.asked("cursor"), self.asked("end") or NEXT
        if end not in (NEXT, LAST):
            raise HTTPError(400, f"end must be {NEXT} or {LAST}")

        def look(app: Celery) -> tuple[tuple[Queue, ...], str, Listed, int]:
            pending, queues = Pending(app), Queues(app).list()
            name = chosen or next((queue.name for queue in queues if queue.length), queues[0].name)
            jobs = pending.list(name, end=end, cursor=cursor, limit=PAGE_SIZE)
            return queues, name, jobs, pending.delayed(limit=1).total

        queues, name, found, delayed = await self.of_app(look)
        this = next((queue for queue in queues if queue.name == name), None)
        self.show(
            "pending.html",
            queues=queues,
            name=name,
            this=this,
            found=found,
            delayed=delayed,
            end=end,
            is_first=cursor is None,
        )


class Find(Waiting):
    """Leads to a job of which one knows the id and the queue."""

    async def get(self) -> None:
        """Look near both ends of the queue."""
        queue, job_id = self.queue, (self.asked("job") or "").strip()
        job = await self.of_app(lambda app: Pending(app).find(queue, job_id))
        self.redirect(self.link("pending-job", ref=job.ref))


class ManyWaiting(Waiting):
    """Moves or removes all that waits in a queue, once it was asked about."""

    async def get(self, verb: str) -> None:
        """Ask."""
        queue = self.queue
        queues = await self.of_app(lambda app: Queues(app).list())
        length = next((found.length for found in queues if found.name == queue), 0)
        if verb == "move":
            self.ask(
                f"Move {counted(length, 'waiting job')} from {queue} to another queue?",
                "They keep their order, and go behind what waits there.",
                "Move them",
                self.back(queue),
                [found.name for found in queues if found.name != queue],
            )
        else:
            self.ask(
                f"Remove {counted(length, 'waiting job')} from {queue}?",
                "They will not run. Their state is Cancelled then.",
                "Remove them",
                self.back(queue),
            )

    async def post(self, verb: str) -> None:
        """Do it."""
        queue, to, left = self.queue, self.get_body_argument("to", ""), [0]
        if to == queue:
            self.leave(Said("They are in that queue already.", is_good=False), self.back(queue))
            return

        def call(app: Celery) -> int:
            pending, stop = Pending(app), until(MANY_SECONDS)
            try:
                if verb == "move":
                    return pending.move_all(queue, to, stop).done
                return pending.remove_all(queue, stop).done
            except TimeIsUp as stopped:
                left[0] = Queues(app).show(queue).length
                return stopped.done

        def says(number: int) -> str:
            done = f"moved to {to}" if verb == "move" else "removed"
            more = f" {counted(left[0], 'job')} are left: do it again." if left[0] else ""
            return f"{counted(number, 'job')} of {queue} {done}.{more}"

        what = f"move waiting jobs to {to}" if verb == "move" else "remove waiting jobs"
        self.leave(await self.act(Deed(what, queue), call, says), self.back(queue))


def _count(app: Celery) -> int:
    return sum(queue.length for queue in Queues(app).list())


TAB = Tab(
    "pending",
    "Pending",
    [
        url(r"/pending", PendingList, name="pending"),
        url(r"/pending/(move|remove)", ManyWaiting, name="pending-many"),
        url(r"/pending/find", Find, name="pending-find"),
        *waiting.ROUTES,
        *delayed.ROUTES,
    ],
    _count,
    warns=False,
)
