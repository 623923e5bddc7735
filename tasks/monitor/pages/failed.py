"""Failed: the jobs that have failed for good. Retry them, one or all that fit, or discard them."""

import re
from collections.abc import Callable
from time import monotonic

from celery import Celery
from tornado.web import HTTPError, url

from tasks.failed.job import Filter, Outcome
from tasks.failures import FailedJobs
from tasks.failures import Page as Listed
from tasks.monitor.limits import MANY_SECONDS
from tasks.monitor.page import PAGE_SIZE, Deed, Page
from tasks.monitor.shown import counted
from tasks.monitor.tabs import Tab

AGES = {
    "": "any time",
    "newer-1h": "in the last hour",
    "newer-1d": "in the last day",
    "newer-7d": "in the last week",
    "older-1h": "more than an hour ago",
    "older-1d": "more than a day ago",
    "older-7d": "more than a week ago",
}
"""The ages that one can filter by, as the address has them and as the page names them."""

_SECONDS = {"1h": 3_600, "1d": 86_400, "7d": 7 * 86_400}

AT_ONCE = 1_000
"""Jobs of one part of a change of many."""

_CURSOR = re.compile(r"\d{1,12}(\.\d{1,9})?:.{1,255}", re.DOTALL)

VERBS = {"retry": ("retried", "Retry"), "discard": ("discarded", "Discard")}


class Failed(Page):
    """What the pages of this tab have in common: the filter that the address holds."""

    tab = "failed"

    @property
    def chosen(self) -> dict[str, str]:
        """What the address filters by."""
        names = ("task", "queue", "error", "age")
        given = {name: (self.asked(name) or "").strip() for name in names}
        if given["age"] not in AGES:
            raise HTTPError(400, f"age must be one of {', '.join(AGES)}")
        return {name: value for name, value in given.items() if value}

    @property
    def where(self) -> Filter:
        """The same, as a filter."""
        chosen = self.chosen
        kind, _, unit = chosen.pop("age", "").partition("-")
        bound = {f"{kind}_than": float(_SECONDS[unit])} if unit else {}
        return Filter(**chosen, **bound)  # type: ignore[arg-type] # names of text and of numbers

    @property
    def filter_words(self) -> str:
        """The filter in words."""
        chosen = self.chosen
        age = chosen.pop("age", "")
        parts = [f"{name} {value}" for name, value in chosen.items()]
        return ", ".join([*parts, *([f"failed {AGES[age]}"] if age else [])])


class FailedList(Failed):
    """The failed jobs, the newest first."""

    async def get(self) -> None:
        """Show a page of them."""
        chosen, where, cursor = self.chosen, self.where, self.asked("cursor")
        if cursor is not None and not _CURSOR.fullmatch(cursor):
            raise HTTPError(400, "cursor must be what a page before this one gave")

        def look(app: Celery) -> Listed:
            bounds = {"older_than": where.older_than, "newer_than": where.newer_than}
            names = {"task": where.task, "queue": where.queue, "error": where.error}
            return FailedJobs(app).list(**names, **bounds, cursor=cursor, limit=PAGE_SIZE)  # type: ignore[arg-type] # as above

        found = await self.of_app(look)
        self.show("failed.html", found=found, chosen=chosen, ages=AGES, is_first=cursor is None)


class ManyFailed(Failed):
    """Retries or discards all that fit, once it was asked about."""

    async def get(self, verb: str) -> None:
        """Ask, and say how many fit."""
        where, words = self.where, self.filter_words
        number = await self.of_app(lambda app: FailedJobs(app).count(where))
        if not number:
            self.redirect(self.link("failed", **self.chosen))
            return
        which = f"with {words}" if words else "of any task, queue, error and age"
        then = "They go back into their queues." if verb == "retry" else "They are gone then."
        self.ask(
            f"{VERBS[verb][1]} {counted(number, 'failed job')}?",
            f"These are the jobs {which}. {then}",
            f"{VERBS[verb][1]} {number:,}",
            self.link("failed", **self.chosen),
        )

    async def post(self, verb: str) -> None:
        """Do it."""
        where, left = self.where, [0]

        def call(app: Celery) -> int:
            jobs = FailedJobs(app)
            done = in_parts(jobs.retry_many if verb == "retry" else jobs.discard_many, where)
            left[0] = 0 if done[1] else jobs.count(where)
            return done[0]

        def says(number: int) -> str:
            more = f" {counted(left[0], 'job')} are left: do it again." if left[0] else ""
            return f"{counted(number, 'failed job')} {VERBS[verb][0]}.{more}"

        deed = Deed(f"{verb} failed jobs", self.filter_words or "all")
        self.leave(await self.act(deed, call, says), self.link("failed", **self.chosen))


class OneFailed(Failed):
    """Retries or discards one."""

    async def get(self, job_id: str, verb: str) -> None:
        """Ask."""
        warning = (
            "It goes back into its queue."
            if verb == "retry"
            else "Its data are gone then, for good."
        )
        self.ask(
            f"{VERBS[verb][1]} the failed job {job_id}?",
            warning,
            f"{VERBS[verb][1]} it",
            self.link("job", job_id),
        )

    async def post(self, job_id: str, verb: str) -> None:
        """Do it."""

        def call(app: Celery) -> None:
            jobs = FailedJobs(app)
            if verb == "retry":
                jobs.retry(job_id)
            else:
                jobs.discard(job_id)

        says = {
            "retry": f"The job {job_id} is back in its queue.",
            "discard": f"The job {job_id} is discarded.",
        }
        said = await self.act(Deed(f"{verb} a failed job", job_id), call, lambda _: says[verb])
        self.leave(said, self.link("failed", **self.chosen))


Many = Callable[[Filter, None, int], Outcome]


def in_parts(handle: Many, where: Filter, seconds: float = MANY_SECONDS) -> tuple[int, bool]:
    """Handle what fits and has failed by now, for so many seconds at most.

    Returns how many were handled, and whether that was all of them.
    """
    start, done = monotonic(), 0
    while monotonic() - start < seconds:
        # What was retried, and has failed again since we began, is not retried again.
        older_than = (where.older_than or 0) + monotonic() - start if done else where.older_than
        part = Filter(where.task, where.queue, where.error, older_than, where.newer_than)
        outcome = handle(part, None, AT_ONCE)
        done += outcome.done
        if outcome.done + outcome.gone < AT_ONCE or not outcome.done:
            return done, True
    return done, False


def _count(app: Celery) -> int:
    return FailedJobs(app).count()


TAB = Tab(
    "failed",
    "Failed",
    [
        url(r"/failed", FailedList, name="failed"),
        url(r"/failed/(retry|discard)", ManyFailed, name="failed-many"),
        url(r"/failed/jobs/(.+)/(retry|discard)", OneFailed, name="failed-one"),
    ],
    _count,
)
