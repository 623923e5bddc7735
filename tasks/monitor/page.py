"""What the extra pages have in common: they look in the background, act by POST, and say so."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import tornado.web
from celery import Celery

from config.masking import rules
from tasks import audit
from tasks.broker.access import AWAY
from tasks.errors import ExpresslaneError, Unreachable
from tasks.monitor.background import ACTING_SECONDS, in_background
from tasks.monitor.brokers import OWN
from tasks.monitor.guard import Guarded
from tasks.monitor.shown import Shown

PAGE_SIZE = 25
"""Rows on a page."""

SAID = "monitor_said"
"""The cookie that carries a sentence over a redirect, signed."""

LONGEST_SENTENCE = 600

REFRESH_SECONDS = 5
"""After so long, a page whose broker did not answer asks again by itself."""

Found = TypeVar("Found")


_logger = logging.getLogger("tasks.monitor")


@dataclass(frozen=True)
class Said:
    """What the page before this one has done, or why it did not."""

    text: str
    is_good: bool = True


@dataclass(frozen=True)
class Deed:
    """A change that somebody asks for, as the audit names it."""

    what: str
    """Such as `retry failed jobs`."""
    which: str
    """The job, the queue or the filter."""


class Page(Shown, Guarded):
    """A page of ours."""

    tab: ClassVar[str]
    """The name of the tab that it belongs to."""
    is_ours = True

    # -- the request -------------------------------------------------------------------------------

    def check_xsrf_cookie(self) -> None:
        """Refuse a form that is not from one of our pages, login or not."""
        super().check_xsrf_cookie()
        tornado.web.RequestHandler.check_xsrf_cookie(self)

    async def prepare(self) -> None:
        """Check which broker is meant, too."""
        name = self.get_query_argument("broker", OWN)
        if name not in self.monitor.brokers.names:
            known = ", ".join(self.monitor.brokers.names)
            raise tornado.web.HTTPError(404, f"There is no such broker here; there are: {known}")
        self._broker = name
        await super().prepare()

    @property
    def broker(self) -> str:
        """The name of the broker that the page shows."""
        return getattr(self, "_broker", OWN)

    def asked(self, name: str) -> str | None:
        """Return what the address says of it; None for nothing."""
        return self.get_query_argument(name, "") or None

    def list_link(self) -> str:
        """Return the address of the list that this page belongs to."""
        shown = next(tab for tab in self.monitor.tabs if tab.name == self.tab)
        return self.link(shown.name if shown.is_shown else self.monitor.tabs[0].name)

    def at_broker(self, name: str) -> str:
        """Return the address of this page's tab at another broker."""
        shown = next(tab for tab in self.monitor.tabs if tab.name == self.tab)
        return self.link(
            shown.name if shown.is_shown else self.monitor.tabs[0].name,
            broker=None if name == OWN else name,
        )

    @property
    def server(self) -> str:
        """What does not answer, when nothing does, as a sentence begins with it."""
        return f"The broker at {self.monitor.brokers.address(self.broker)}"

    # -- looking -----------------------------------------------------------------------------------

    async def of_app(self, look: Callable[[Celery], Found]) -> Found:
        """Return what is found at the app that the page shows."""
        app = self.app
        return await in_background(lambda: look(app))

    def show(self, template: str, **found: Any) -> None:
        """Show the page."""
        self.render(f"monitor/{template}", page=self, said=self._said(), **found)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say what is wrong; when the broker is away, look again after a while."""
        error = kwargs.get("exc_info", (None, None))[1]
        if isinstance(error, AWAY):
            self._say_away(error)
        elif isinstance(error, ExpresslaneError) and self.request.method == "POST":
            self.leave(Said(rules().text(str(error)), is_good=False), self.list_link())
        elif isinstance(error, ExpresslaneError):
            # What the address names is not there (any more), or cannot be so.
            self.set_status(404 if isinstance(error, LookupError) else 400)
            self.render("monitor/problem.html", page=self, said=None, problem=str(error))
        else:
            super().write_error(status_code, **kwargs)

    def _say_away(self, error: BaseException) -> None:
        looks = self.request.method == "GET"
        self.set_status(503)
        if looks:
            self.set_header("Refresh", str(REFRESH_SECONDS))
        reason = error.reason if isinstance(error, Unreachable) else str(error)
        advice = error.advice if isinstance(error, Unreachable) and not looks else ""
        self.render(
            "monitor/unreachable.html",
            page=self,
            said=None,
            reason=rules().text(reason),
            advice=advice,
        )

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:  # noqa: ANN401 (tornado's)
        """Log a line, no traceback, when it is nothing of ours that is wrong."""
        if isinstance(value, (*AWAY, ExpresslaneError)):
            _logger.warning("%s: %s", self.request.path, value)
        else:
            super().log_exception(typ, value, tb)

    # -- acting ------------------------------------------------------------------------------------

    async def act(
        self, deed: Deed, call: Callable[[Celery], int | None], says: Callable[[int], str]
    ) -> Said:
        """Do it, note who did, and return what to say.

        Args:
            deed: what the audit says.
            call: does it, and returns how many it was; None for one.
            says: makes a sentence of how many it was.

        Raises:
            Unreachable: when the broker did not answer.

        """
        app = self.app
        try:
            found = await in_background(lambda: call(app), seconds=ACTING_SECONDS)
        except ExpresslaneError as error:
            if isinstance(error, Unreachable):
                await self.note(Deed(f"{deed.what} (no answer)", deed.which), 0)
                raise
            return Said(rules().text(str(error)), is_good=False)
        count = 1 if found is None else found
        await self.note(deed, count)
        await self.monitor.counts[self.broker].refresh(app, now=True)
        return Said(says(count), is_good=count > 0)

    async def note(self, deed: Deed, count: int = 1) -> None:
        """Write down who did it."""
        app, who = self.app, self.current_user.name
        await in_background(
            lambda: audit.record(app, who=who, what=deed.what, which=deed.which, count=count)
        )

    def leave(self, said: Said, to: str) -> None:
        """Go to a page, which shows the sentence."""
        told = json.dumps([said.text[:LONGEST_SENTENCE], said.is_good])
        self.set_secure_cookie(SAID, told, expires_days=None)
        self.redirect(to, status=303)

    def ask(
        self, question: str, warning: str, verb: str, back: str, choices: Sequence[str] = ()
    ) -> None:
        """Show a page that asks before something is done; its form is sent to this address.

        Args:
            question: what will be done.
            warning: what that means.
            verb: what stands on the button.
            back: where Cancel leads.
            choices: queues, of which one is to be chosen; the form sends it as `to`.

        """
        self.show(
            "confirm.html",
            question=question,
            warning=warning,
            verb=verb,
            back=back,
            choices=choices,
        )

    def _said(self) -> Said | None:
        cookie = self.get_secure_cookie(SAID)
        if cookie is None:
            return None
        self.clear_cookie(SAID)
        text, is_good = json.loads(cookie)
        return Said(text, is_good)
