"""What stands before every page of Flower, its own and ours: the login, the role, the origin.

Flower asks for a login on most of its pages and not on `/metrics`; it has no roles; and without a
login it obeys what any other web page makes a visitor's browser send.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode, urlsplit

import tornado.web
from flower.api.tasks import BaseTaskHandler
from flower.utils.broker import Broker
from flower.views import BaseHandler

from config.masking import rules
from tasks import audit
from tasks.monitor.access import Access, User, is_loopback
from tasks.monitor.background import in_background
from tasks.monitor.brokers import OWN, Brokers
from tasks.monitor.tabs import Counts, Tab

if TYPE_CHECKING:
    from celery import Celery

_running: set["asyncio.Task[None]"] = set()
"""Tasks that nobody waits for; asyncio itself would forget them half way."""

LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})

_logger = logging.getLogger("tasks.monitor")


class Monitor:
    """What all handlers share."""

    def __init__(
        self,
        access: Access,
        brokers: Brokers,
        tabs: tuple[Tab, ...],
        links: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.access = access
        self.brokers = brokers
        self.tabs = tabs
        self.links = links
        """Addresses of the application's pages, by the argument of a job that names one."""
        self.counts = {name: Counts(tabs) for name in brokers.names}


class Guarded(BaseHandler):
    """A handler of Flower's, behind the guard."""

    monitor: ClassVar[Monitor]
    only_looks: ClassVar[bool] = False
    """Whether its POST changes nothing."""
    is_ours: ClassVar[bool] = False
    """Whether it is a page of ours, which notes its changes itself."""

    def set_default_headers(self) -> None:
        """Let no other site show a page of ours in a frame, and no cache keep one."""
        super().set_default_headers()
        self.set_header("Content-Security-Policy", "frame-ancestors 'none'; base-uri 'none'")
        self.set_header("X-Frame-Options", "DENY")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    # -- who ---------------------------------------------------------------------------------------

    @property
    def unauthenticated_api(self) -> bool:
        """The API needs a login, always."""
        return False

    def get_current_user(self) -> User | None:
        """Return who asks."""
        return self.monitor.access.user_of(self.request.headers.get("Authorization"))

    @property
    def may_operate(self) -> bool:
        """Tell whether who asks may change things."""
        user: User | None = self.current_user
        return user is not None and user.may_operate

    def check_xsrf_cookie(self) -> None:
        """Refuse what another site makes a visitor's browser send."""
        if self._is_foreign():
            raise tornado.web.HTTPError(403, "This came from another site: use Flower's own pages")
        super().check_xsrf_cookie()

    async def prepare(self) -> None:
        """Let in who may do this."""
        if not self.monitor.access.has_login and not is_loopback(_host(self.request.host)):
            raise tornado.web.HTTPError(
                403,
                "Without a login, Flower answers at the names of this machine only, such as "
                "http://127.0.0.1. Set MONITOR_OPERATORS to use another name.",
            )
        if self.current_user is None:
            if "Authorization" in self.request.headers:
                _logger.warning("refused a login from %s", self.request.remote_ip)
            raise tornado.web.HTTPError(401)
        if self.request.method not in LOOKING and not self.only_looks and not self.may_operate:
            raise tornado.web.HTTPError(403, "You may look, and not change anything")
        await self._prepare_flower()
        if self.shows_tabs:
            await self.monitor.counts[self.broker].refresh(self.app, now=self.is_ours)

    async def _prepare_flower(self) -> None:
        if self._is_api() and not self.monitor.access.has_login:
            raise tornado.web.HTTPError(
                401, "Flower's API needs a login: set MONITOR_OPERATORS and MONITOR_READERS"
            )

    def _is_api(self) -> bool:
        return any(base.__module__.startswith("flower.api") for base in type(self).__mro__)

    def _is_foreign(self) -> bool:
        site = self.request.headers.get("Sec-Fetch-Site")
        if site is not None:
            # "none" is the visitor's own doing, such as a form that is sent again by reload.
            return site not in ("same-origin", "none")
        origin = self.request.headers.get("Origin")
        return origin is not None and urlsplit(origin).netloc != self.request.host

    # -- what is answered --------------------------------------------------------------------------

    def render(self, *args: Any, **kwargs: Any) -> "Awaitable[None] | None":
        """Show a page; without Flower's own buttons to whom they would not obey."""
        if "read_only" in kwargs and not self.may_operate:
            kwargs["read_only"] = True
        if "broker_url" in kwargs:
            kwargs["broker_url"] = self.monitor.brokers.address(OWN)
        found: Awaitable[None] | None = super().render(*args, **kwargs)
        return found

    def get_broker(self) -> Broker:
        """Return what Flower reads the lengths of queues with: it does not know our transport."""
        conf = self.application.capp.conf
        return Broker(
            self.monitor.brokers.own_url.get_secret_value(),
            broker_options=conf.broker_transport_options,
            broker_use_ssl=conf.broker_use_ssl,
        )

    def write(self, chunk: str | bytes | dict[Any, Any]) -> None:
        """Mask what Flower's API tells of jobs: what they return is known to no publisher."""
        if isinstance(chunk, dict) and isinstance(self, BaseTaskHandler):
            chunk = rules().value(chunk)
        super().write(chunk)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Ask for the login, in the API too."""
        if status_code == 401:
            self.set_header("WWW-Authenticate", 'Basic realm="Flower", charset="UTF-8"')
            error = kwargs.get("exc_info", (None, None))[1]
            self.finish(getattr(error, "log_message", None) or "Log in to see this.")
            return
        super().write_error(status_code, **kwargs)

    def on_finish(self) -> None:
        """Note what was changed through Flower's own pages and its API."""
        changed = self.request.method not in LOOKING and not self.only_looks
        if changed and not self.is_ours and self.get_status() < 400:
            who, what = self.current_user.name, f"Flower's own {self.request.path}"
            app = self.application.capp
            _in_the_background(lambda: audit.record(app, who=who, what=what, which=""))

    # -- what the tabs show ------------------------------------------------------------------------

    shows_tabs: ClassVar[bool] = True

    @property
    def broker(self) -> str:
        """The name of the broker that the page shows."""
        return OWN

    @property
    def app(self) -> "Celery":
        """The app whose broker that is."""
        return self.monitor.brokers.app(self.broker)

    def link(self, name: str, *parts: str, **query: str | None) -> str:
        """Return the address of a page of ours, at the broker that this page shows."""
        chosen = {"broker": None if self.broker == OWN else self.broker, **query}
        given = {key: value for key, value in chosen.items() if value}
        path = str(self.reverse_url(name, *parts))
        return f"{path}?{urlencode(given)}" if given else path

    def extra_tabs(self) -> list[tuple[Tab, int]]:
        """Return the tabs to show, each with its count."""
        counts = self.monitor.counts[self.broker]
        is_in = self.current_user is not None
        return [(tab, counts.of(tab.name) * is_in) for tab in self.monitor.tabs if tab.is_shown]


def _host(netloc: str) -> str:
    """Return the host of a Host header, without its port."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def _in_the_background(call: Callable[[], None]) -> None:
    task = asyncio.create_task(in_background(call))
    _running.add(task)
    task.add_done_callback(_running.discard)
