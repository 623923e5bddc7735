"""One waiting job: change its data, move it, remove it, beside busy workers."""

from celery import Celery
from tornado.web import HTTPError, url

from tasks.monitor.editing import Draft, read_data
from tasks.monitor.page import Deed, Page
from tasks.pending import Pending, QueuedJob
from tasks.queues import Queue, Queues

REF_DOTS = 4
"""Dots before the name of the queue in what names a waiting job."""


class Waiting(Page):
    """What the pages of this tab have in common."""

    tab = "pending"

    @property
    def ref(self) -> str:
        """Which job the address names."""
        return self.asked("ref") or ""

    @property
    def queue(self) -> str:
        """Which queue the address names."""
        found = self.asked("queue")
        if found is None:
            raise HTTPError(400, "the address must name a queue")
        return found

    def list_link(self) -> str:
        """Return the address of the list of the job's queue, or of the one that is named."""
        queue = self.ref.split(".", 4)[-1] if self.ref.count(".") >= REF_DOTS else None
        return self.back(self.asked("queue") or queue)

    def back(self, queue: str | None) -> str:
        """Return the address of the list of this queue's jobs."""
        return self.link("pending", queue=queue)


class OneWaiting(Waiting):
    """One job of a queue."""

    async def get(self) -> None:
        """Show it."""
        await self.show_one()

    async def show_one(self, draft: Draft | None = None, *, reveal: bool = False) -> None:
        """Show it, with what somebody wrote, or with what is hidden."""
        ref = self.ref

        def look(app: Celery) -> tuple[QueuedJob, tuple[Queue, ...]]:
            return Pending(app).show(ref), Queues(app).list()

        job, queues = await self.of_app(look)
        self.show("waiting.html", job=job, queues=queues, draft=draft, reveal=reveal)


class RevealWaiting(OneWaiting):
    """Shows a waiting job with what is hidden; the audit tells who looked."""

    async def get(self) -> None:
        """Go to the page that hides it."""
        self.redirect(self.link("pending-job", ref=self.ref))

    async def post(self) -> None:
        """Show it, once."""
        ref = self.ref
        job = await self.of_app(lambda app: Pending(app).show(ref))
        await self.note(Deed("reveal a job's data", job.name))
        await self.show_one(reveal=True)


class Edit(OneWaiting):
    """Changes a job's data."""

    async def post(self) -> None:
        """Do it, or show the form again with what is wrong."""
        ref, text = self.ref, self.get_body_argument("data", "", strip=False)
        job = await self.of_app(lambda app: Pending(app).show(ref))
        try:
            data = read_data(text, job.data)
        except ValueError as error:
            self.set_status(422)
            await self.show_one(Draft(text, str(error)))
            return
        said = await self.act(
            Deed("edit a waiting job", job.name),
            lambda app: len([Pending(app).edit(ref, data)]),
            lambda _: f"The job {job.name} waits with its new data.",
        )
        self.leave(said, self.back(job.queue))


class Move(Waiting):
    """Moves a job to another queue."""

    async def post(self) -> None:
        """Do it."""
        ref, to = self.ref, self.get_body_argument("to", "")
        job = await self.of_app(lambda app: Pending(app).show(ref))
        said = await self.act(
            Deed(f"move a waiting job from {job.queue} to {to}", job.name),
            lambda app: Pending(app).move(ref, to),
            lambda _: f"The job {job.name} waits in the queue {to} now.",
        )
        self.leave(said, self.back(job.queue))


class ToFront(Waiting):
    """Makes a job the next one."""

    async def post(self) -> None:
        """Do it."""
        ref = self.ref
        job = await self.of_app(lambda app: Pending(app).show(ref))
        said = await self.act(
            Deed("move a waiting job to the front", job.name),
            lambda app: Pending(app).to_front(ref),
            lambda _: f"The job {job.name} is the next of its queue.",
        )
        self.leave(said, self.back(job.queue))


class Remove(Waiting):
    """Removes a job, once it was asked about."""

    async def get(self) -> None:
        """Ask."""
        ref = self.ref
        job = await self.of_app(lambda app: Pending(app).show(ref))
        then = "Its state is Cancelled then." if job.is_job else "It goes to quarantine."
        self.ask(f"Remove {job.name} from {job.queue}?", then, "Remove it", self.back(job.queue))

    async def post(self) -> None:
        """Do it."""
        ref = self.ref
        job = await self.of_app(lambda app: Pending(app).show(ref))
        said = await self.act(
            Deed("remove a waiting job", job.name),
            lambda app: len([Pending(app).remove(ref)]),
            lambda _: f"The job {job.name} is removed from its queue.",
        )
        self.leave(said, self.back(job.queue))


ROUTES = [
    url(r"/pending/job", OneWaiting, name="pending-job"),
    url(r"/pending/job/reveal", RevealWaiting, name="pending-reveal"),
    url(r"/pending/job/edit", Edit, name="pending-edit"),
    url(r"/pending/job/move", Move, name="pending-move"),
    url(r"/pending/job/front", ToFront, name="pending-front"),
    url(r"/pending/job/remove", Remove, name="pending-remove"),
]
