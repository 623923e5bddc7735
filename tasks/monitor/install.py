"""Puts the guard and the pages into Flower, before it is built.

`flowerconfig.py` is Python that Flower runs then. Its list of handlers is changed in place, because
Flower has taken the list itself already.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import tornado.web
from celery import Celery
from flower import urls
from flower.views.auth import LoginHandler, LogoutHandler
from flower.views.monitor import Healthcheck, Metrics
from flower.views.tasks import TasksDataTable
from tornado.options import OptionParser
from tornado.routing import URLSpec
from tornado.web import RequestHandler, StaticFileHandler

from config.logging import configure
from config.masking import rules
from config.monitor import monitor_settings
from tasks.monitor.access import Access, is_loopback
from tasks.monitor.all_metrics import AllMetrics
from tasks.monitor.brokers import Brokers
from tasks.monitor.guard import Guarded, Monitor
from tasks.monitor.pages import TABS
from tasks.monitor.templating import TwoFolders

STATIC = __file__.replace("install.py", "static")

UNGUARDED = (StaticFileHandler, Healthcheck, LoginHandler, LogoutHandler)
"""What needs no login: it tells nothing of jobs."""


class Refused(SystemExit):
    """Flower would be open to people who should not be let in. The message says what to set."""


def install(
    app: Celery, options: OptionParser, links: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Put the pages and the guard into Flower.

    Args:
        app: the app that Flower shows.
        options: Flower's.
        links: where a job's page leads to: by the name of an argument of jobs, such as `order_id`,
            the address of what it names, with `{}` in the place of its value.

    Raises:
        BadSettings: when settings cannot be used.

    """
    settings = monitor_settings()
    configure(settings)
    access = Access(settings)
    Guarded.monitor = Monitor(access, Brokers(app, settings), TABS, links)
    flowers = [_guarded(spec) for spec in urls.handlers]
    ours = [spec for tab in TABS for spec in tab.routes]
    static = URLSpec(
        r"/monitor-static/(.*)", StaticFileHandler, {"path": STATIC}, name="monitor-static"
    )
    urls.handlers[:] = [static, *ours, *flowers]
    urls.settings["template_loader"] = TwoFolders(urls.settings["template_path"])
    urls.settings["xsrf_cookie_kwargs"] = {"samesite": "Strict"}
    options.format_task = mask_task
    # It is called when all options are known: the command line comes after `flowerconfig.py`.
    options.add_parse_callback(lambda: refuse_to_be_open(options, access))


def refuse_to_be_open(options: OptionParser, access: Access) -> None:
    """End the program when Flower would be open to people who should not be let in.

    Raises:
        Refused: naming what to set.

    """
    if options.basic_auth or options.auth:
        raise Refused(
            "Flower's own logins know no roles and are not used here: leave out --basic_auth and "
            "--auth, and set MONITOR_OPERATORS=name:password,... and MONITOR_READERS."
        )
    if access.has_login or options.unix_socket or is_loopback(options.address):
        return
    where = options.address or "every interface"
    raise Refused(
        f"Flower would listen on {where}, and ask nobody who they are. Set "
        "MONITOR_OPERATORS=name:password,... (and MONITOR_READERS for those who only look), or "
        "leave out --address."
    )


def mask_task(task: Any) -> Any:  # noqa: ANN401 (Flower's)
    """Mask what Flower shows of a task that another program has published, or that failed."""
    for name in ("args", "kwargs", "result", "exception", "traceback"):
        value = getattr(task, name, None)
        if isinstance(value, str):
            setattr(task, name, rules().text(value))
    return task


def _guarded(spec: Any) -> URLSpec:  # noqa: ANN401 (a URLSpec, or what one is made of)
    if not isinstance(spec, URLSpec):
        spec = URLSpec(*spec)
    handler: type[RequestHandler] = spec.handler_class
    if handler is Metrics:
        handler = AllMetrics
    if not issubclass(handler, UNGUARDED):
        has_tabs = not handler.__module__.startswith("flower.api") and handler is not AllMetrics
        more = {"only_looks": handler is TasksDataTable, "shows_tabs": has_tabs}
        handler = type(handler.__name__, (Guarded, handler), more)
    return tornado.web.url(spec.regex.pattern, handler, spec.kwargs, spec.name)
