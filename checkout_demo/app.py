"""The store's web application: `python -m checkout_demo.app`, on loopback at `STORE_PORT`."""

import uvicorn
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from checkout_demo.catalogue import SHOP
from checkout_demo.database import WEB_BUSY_SECONDS, Database, hold_outbox, store_database
from checkout_demo.migrate import prepare
from checkout_demo.settings import StoreSettings, store_settings
from checkout_demo.templating import HERE
from checkout_demo.views import (
    api,
    checkout,
    demo,
    health,
    inbox,
    jobs,
    operator,
    orders,
    shop,
)
from checkout_demo.web import errors
from checkout_demo.web.access import AccessLog
from checkout_demo.web.body import BodyLimit
from checkout_demo.web.headers import DRAWING, SecurityHeaders
from checkout_demo.web.origin import SameOrigin
from checkout_demo.web.request_id import RequestId
from checkout_demo.web.store import Store
from config.logging import configure

_VIEWS = (shop, checkout, orders, api, jobs, demo, inbox, operator, health)

# Pages that watch jobs hold their connection open; they come back by themselves.
_SHUTDOWN_SECONDS = 3


def create_app(settings: StoreSettings | None = None, database: Database | None = None) -> FastAPI:
    """Make the application. By default, with this process's settings and database.

    The database must have the newest schema: see `migrate.prepare`.
    """
    app = FastAPI(
        title=SHOP,
        summary="A small store whose orders set off background jobs.",
        # Both of FastAPI's pages about the API load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        middleware=[
            Middleware(kind)
            for kind in (RequestId, SecurityHeaders, AccessLog, SameOrigin, BodyLimit)
        ],
    )
    store = Store(settings or store_settings(), database or store_database())
    app.state.store = store
    hold_outbox(lambda: store.database)
    errors.connect(app)
    for area in _VIEWS:
        app.include_router(area.router)
    app.mount("/static", _Static(directory=HERE / "static"), name="static")
    if app.state.store.settings.traces_url:
        # An extra, which only who sets that needs.
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415

        FastAPIInstrumentor.instrument_app(app)
    return app


class _Static(StaticFiles):
    """Files that browsers may keep, and ask about again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file, with the headers of its kind."""
        answer = await super().get_response(path, scope)
        answer.headers["Cache-Control"] = "no-cache"
        if path.endswith(".svg"):
            answer.headers.update(DRAWING)
        return answer


def main() -> None:
    """Bring the database up to date, and serve the store until told to stop."""
    settings = store_settings()
    configure(settings)
    # With more patience than a request has: another program may prepare it at the same time.
    prepare(store_database())
    database = Database(settings.database, busy_seconds=WEB_BUSY_SECONDS)
    uvicorn.run(
        create_app(settings, database),
        host="127.0.0.1",
        port=settings.store_port,
        log_config=None,
        # web/access.py writes one line for each request, with its id and without query strings.
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )


if __name__ == "__main__":
    main()
