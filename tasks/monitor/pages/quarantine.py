"""Quarantine: messages that could not become jobs."""

from celery import Celery
from tornado.web import url

from tasks.monitor.limits import MANY_SECONDS, TimeIsUp, until
from tasks.monitor.page import PAGE_SIZE, Deed, Page, Said
from tasks.monitor.shown import counted
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


class OneMessage(Page):
    """One message."""

    tab = "quarantine"

    async def get(self, message_id: str) -> None:
        """Show all of it."""
        await self.show_one(message_id)

    async def show_one(self, message_id: str, *, reveal: bool = False) -> None:
        """Show it, with what is hidden if that is asked for."""
        found = await self.of_app(lambda app: Quarantine(app).show(message_id))
        self.show("message.html", message=found, reveal=reveal)


class Reveal(OneMessage):
    """Shows a message with what is hidden; the audit tells who looked."""

    async def get(self, message_id: str) -> None:
        """Go to the page that hides it."""
        self.redirect(self.link("quarantine-message", message_id))

    async def post(self, message_id: str) -> None:
        """Show it, once."""
        await self.note(Deed("reveal a quarantined message", message_id))
        await self.show_one(message_id, reveal=True)


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


class Many(Page):
    """Puts all messages back or throws them away, once it was asked about."""

    tab = "quarantine"

    async def get(self, verb: str) -> None:
        """Ask, and say how many there are."""
        number = await self.of_app(lambda app: Quarantine(app).count())
        if verb == "put-back":
            then = "What still is no job comes back here."
            self.ask(
                f"Put {counted(number, 'message')} back?",
                then,
                "Put them back",
                self.link("quarantine"),
            )
        else:
            self.ask(
                f"Discard {counted(number, 'message')}?",
                "Their bytes are gone then, for good.",
                "Discard them",
                self.link("quarantine"),
            )

    async def post(self, verb: str) -> None:
        """Do it."""
        left = [0]

        def call(app: Celery) -> int:
            kept, stop = Quarantine(app), until(MANY_SECONDS)
            try:
                return (kept.put_back_all if verb == "put-back" else kept.discard_all)(stop).done
            except TimeIsUp as stopped:
                left[0] = kept.count()
                return stopped.done

        def says(number: int) -> str:
            done = "put back" if verb == "put-back" else "discarded"
            more = f" {counted(left[0], 'message')} are left: do it again." if left[0] else ""
            return f"{counted(number, 'message')} {done}.{more}"

        what = verb.replace("-", " ")
        said = await self.act(Deed(f"{what} quarantined messages", "all"), call, says)
        self.leave(said, self.link("quarantine"))


def _count(app: Celery) -> int:
    return Quarantine(app).count()


TAB = Tab(
    "quarantine",
    "Quarantine",
    [
        url(r"/quarantine", QuarantineList, name="quarantine"),
        url(r"/quarantine/(put-back|discard)", Many, name="quarantine-many"),
        url(r"/quarantine/([0-9-]+)/reveal", Reveal, name="quarantine-reveal"),
        url(r"/quarantine/([0-9-]+)", OneMessage, name="quarantine-message"),
        url(r"/quarantine/([0-9-]+)/put-back", PutBack, name="quarantine-put-back"),
        url(r"/quarantine/([0-9-]+)/discard", Discard, name="quarantine-discard"),
    ],
    _count,
)
