"""One job: how it is, and all that is known of it.

What is known comes in sections. Another one (a timeline, log lines) is a function that looks it up
and a template that shows it: add it to `SECTIONS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery import Celery
from tornado.web import url

from config.masking import rules
from tasks.errors import NoSuchFailedJob
from tasks.failed.job import FailedJob
from tasks.failures import FailedJobs
from tasks.monitor.editing import Draft, read_data
from tasks.monitor.page import Deed, Page, Said
from tasks.monitor.pages.job_place import Place, links_of, place_of
from tasks.monitor.tabs import Tab
from tasks.scheduler import JobStatus, status_at
from tasks.states import JobState
from tasks.timeline import timeline_of


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    template: str
    look: Callable[[Celery, str], Any]
    """Called with the app and the job's id, in the background. None: the section is not shown."""


def failed_job(app: Celery, job_id: str) -> FailedJob | None:
    """Return what is kept of the job if it has failed for good."""
    try:
        return FailedJobs(app).show(job_id)
    except NoSuchFailedJob:
        return None


SECTIONS: tuple[Section, ...] = (
    Section("job_failed.html", failed_job),
    Section("job_timeline.html", timeline_of),
)


class JobView(Page):
    """One job's page."""

    tab = "job"

    async def get(self, job_id: str) -> None:
        """Show it."""
        await self.show_job(job_id)

    async def show_job(
        self, job_id: str, *, draft: Draft | None = None, reveal: bool = False
    ) -> None:
        """Show it, with what must be hidden if that is asked for."""

        def look(app: Celery) -> tuple[JobStatus, Place, list[tuple[str, Any]]]:
            found = [(part.template, part.look(app, job_id)) for part in SECTIONS]
            how = status_at(app, job_id)
            place = place_of(app, job_id, how.state)
            return how, place, [(name, value) for name, value in found if value is not None]

        how, place, sections = await self.of_app(look)
        known = bool(sections or place.sighting or place.row)
        if how.state is JobState.UNKNOWN and not known:
            self.set_status(404)
        failed = next((value for _, value in sections if isinstance(value, FailedJob)), None)
        data = failed.data if failed else place.data
        self.show(
            "job.html",
            job_id=job_id,
            status=how,
            sections=sections,
            is_known=known,
            failed=failed,
            place=place,
            links=links_of(data, self.monitor.links),
            draft=draft,
            reveal=reveal,
            can_be_seen=(lambda value: value) if reveal else rules().value,
        )


class Reveal(JobView):
    """Shows a job with what is hidden; the audit tells who looked."""

    async def get(self, job_id: str) -> None:
        """Go to the page that hides it."""
        self.redirect(self.link("job", job_id))

    async def post(self, job_id: str) -> None:
        """Show it, once."""
        await self.note(Deed("reveal a job's data", job_id))
        await self.show_job(job_id, reveal=True)


class RetryChanged(JobView):
    """Retries a failed job with other data."""

    async def get(self, job_id: str) -> None:
        """Go to the page that has the form."""
        self.redirect(self.link("job", job_id))

    async def post(self, job_id: str) -> None:
        """Do it, or show the form again with what is wrong."""
        text = self.get_body_argument("data", "", strip=False)
        before = await self.of_app(lambda app: failed_job(app, job_id))
        if before is None:
            self.leave(Said(str(NoSuchFailedJob(job_id)), is_good=False), self.link("job", job_id))
            return
        try:
            data = read_data(text, before.data)
        except ValueError as error:
            self.set_status(422)
            await self.show_job(job_id, draft=Draft(text, str(error)))
            return
        said = await self.act(
            Deed("retry a failed job with changed data", job_id),
            lambda app: FailedJobs(app).retry(job_id, data),
            lambda _: "The job is back in its queue, with the changed data.",
        )
        self.leave(said, self.link("job", job_id))


TAB = Tab(
    "job",
    "Job",
    [
        url(r"/job/(.+)/reveal", Reveal, name="job-reveal"),
        url(r"/job/(.+)/retry-changed", RetryChanged, name="job-retry-changed"),
        url(r"/job/(.+)", JobView, name="job"),
    ],
    is_shown=False,
)
