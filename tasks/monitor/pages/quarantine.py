"""Quarantine: messages that could not become jobs."""

from celery import Celery
from tornado.web import url

from tasks.monitor.page import PAGE_SIZE, Deed, Page, Said
from tasks.monitor.shown import escaped_bytes
from tasks.monitor.tabs import Tab
from tasks.quarantine import Quarantine, Quarantined


class QuarantineList(Page):
    """The messages, the newest first."""

    tab = "quarantine"

    async def get(self) -> None:
        """Show a page of them."""
        before = self.asked("before")

        def look(app: Celery) -> tuple[list[Quarantined], int, int]:
            kept = Quarantine(app)
            return kept.newest(PAGE_SIZE + 1, before), kept.count(), kept.total()

        found, count, total = await self.of_app(look)
        older = found[PAGE_SIZE - 1].id if len(found) > PAGE_SIZE else None
        self.show(
            "quarantine.html",
            messages=found[:PAGE_SIZE],
            older=older,
            is_first=before is None,
            count=count,
            total=total,
        )

    @staticmethod
    def shown(message: bytes) -> str:
        """Return the start of a message, each of its bytes visible."""
        return escaped_bytes(message, 120)


class OneMessage(Page):
    """One message."""

    tab = "quarantine"

    async def get(self, message_id: str) -> None:
        """Show all of it."""
        found = await self.of_app(lambda app: Quarantine(app).show(message_id))
        self.show("message.html", message=found, text=escaped_bytes(found.message))


class PutBack(Page):
    """Puts a message back into its queue."""

    tab = "quarantine"

    async def post(self, message_id: str) -> None:
        """Do it."""
        said = await self.act(
            Deed("put back a quarantined message", message_id),
            lambda app: len([Quarantine(app).put_back(message_id)]),
            lambda _: "The message is back in its queue.",
        )
        self.leave(said, self.link("quarantine"))


class Discard(Page):
    """Throws a message away, once it was asked about."""

    tab = "quarantine"

    async def get(self, message_id: str) -> None:
        """Ask."""
        self.ask(
            f"Discard the message {message_id}?",
            "Its bytes are gone then, for good.",
            "Discard it",
            self.link("quarantine-message", message_id),
        )

    async def post(self, message_id: str) -> None:
        """Do it."""
        said: Said = await self.act(
            Deed("discard a quarantined message", message_id),
            lambda app: Quarantine(app).discard(message_id),
            lambda _: "The message is discarded.",
        )
        self.leave(said, self.link("quarantine"))


def _count(app: Celery) -> int:
    return Quarantine(app).count()


TAB = Tab(
    "quarantine",
    "Quarantine",
    [
        url(r"/quarantine", QuarantineList, name="quarantine"),
        url(r"/quarantine/([0-9-]+)", OneMessage, name="quarantine-message"),
        url(r"/quarantine/([0-9-]+)/put-back", PutBack, name="quarantine-put-back"),
        url(r"/quarantine/([0-9-]+)/discard", Discard, name="quarantine-discard"),
    ],
    _count,
)
