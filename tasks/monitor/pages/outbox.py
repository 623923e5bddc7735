"""Outbox: jobs that were enqueued in a transaction of the application's database.

The rows are in that database, so this page is the same whichever broker is chosen. It needs the
extra `outbox`; without it, or where no task module has said which database, it says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from celery import Celery
from tornado.web import url

from tasks.errors import NoOutbox, NoSuchRow, Unreachable
from tasks.monitor.page import PAGE_SIZE, Deed, Page
from tasks.monitor.tabs import Tab

if TYPE_CHECKING:
    from types import ModuleType

    from tasks.outbox.rows import Counts
    from tasks.outbox.table import OutboxRow


@dataclass(frozen=True)
class Found:
    """What the page shows."""

    stats: "Counts"
    rows: "Sequence[OutboxRow]"
    following: str | None


class OutboxView(Page):
    """What the pages of this tab have in common: they ask the application's database."""

    tab = "outbox"

    @property
    def server(self) -> str:
        """What does not answer, when nothing does."""
        return (
            "The outbox's database"
            if self.request.method == "GET"
            else "The outbox's database, or the broker,"
        )


class OutboxList(OutboxView):
    """The counts, and the rows that are not finished or have failed."""

    async def get(self) -> None:
        """Show a page of them."""
        shows_failed = self.asked("show") == "failed"
        after = self.asked("after") or ""
        try:
            found = await self.of_app(lambda app: look(app, failed=shows_failed, after=after))
        except NoOutbox as error:
            self.show("outbox_none.html", reason=str(error))
            return
        self.show("outbox.html", found=found, shows_failed=shows_failed, is_first=not after)


class OutboxRowPage(OutboxView):
    """One row."""

    async def get(self, job_id: str) -> None:
        """Show all of it but its data, which the page of the job has."""
        row = await self.of_app(lambda app: find(app, job_id))
        self.show("outbox_row.html", row=row)


class PublishAgain(OutboxView):
    """Runs a job anew, once it was asked about."""

    async def get(self, job_id: str) -> None:
        """Ask."""
        row = await self.of_app(lambda app: find(app, job_id))
        warning = (
            "It is complete. Its body runs again, with the same keys: an effect that honours them "
            "does not happen again; one that has none does."
            if row.outcome == "complete"
            else "It keeps its id. If it is queued already, the second delivery runs nothing."
        )
        question = f"Publish the job {job_id} again?"
        self.ask(question, warning, "Publish it again", self.link("outbox"))

    async def post(self, job_id: str) -> None:
        """Do it."""

        def publish(app: Celery) -> None:
            operating_of(app).publish_again(job_id)

        said = await self.act(
            Deed("publish a job of the outbox again", job_id),
            publish,
            lambda _: "The job is published again.",
        )
        self.leave(said, self.link("outbox-row", job_id))


def look(app: Celery, *, failed: bool, after: str) -> Found:
    """Return the counts and a page of rows."""
    operating = operating_of(app)
    rows = (operating.failed if failed else operating.unfinished)(PAGE_SIZE + 1, after)
    shown = rows[:PAGE_SIZE]
    return Found(operating.stats(), shown, shown[-1].id if len(rows) > PAGE_SIZE else None)


def find(app: Celery, job_id: str) -> "OutboxRow":
    """Return a row.

    Raises:
        NoSuchRow: when there is none.

    """
    row: OutboxRow | None = operating_of(app).find(job_id)
    if row is None:
        raise NoSuchRow(job_id)
    return row


def operating_of(app: Celery) -> "ModuleType":
    """Return what operates the outbox that one of the app's modules has named.

    Raises:
        NoOutbox: when SQLAlchemy is not there.

    """
    try:
        # An application without an outbox needs no SQLAlchemy.
        from tasks.outbox import operating  # noqa: PLC0415 (see above)
    except ImportError as error:
        raise NoOutbox(
            f"SQLAlchemy is missing: pip install 'expresslane[outbox]' ({error})"
        ) from error
    app.loader.import_default_modules()
    return operating


def _count(app: Celery) -> int:
    try:
        return int(operating_of(app).stats().failed)
    except (NoOutbox, Unreachable):
        # Another server than the others' counts come from: those are good without it.
        return 0


TAB = Tab(
    "outbox",
    "Outbox",
    [
        url(r"/outbox", OutboxList, name="outbox"),
        url(r"/outbox/([^/]+)", OutboxRowPage, name="outbox-row"),
        url(r"/outbox/([^/]+)/publish-again", PublishAgain, name="outbox-publish-again"),
    ],
    _count,
)
