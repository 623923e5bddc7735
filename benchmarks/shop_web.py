"""The store's web server with a number of threads that `SHOP_THREADS` says (40 by default)."""

import os
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from starlette.types import ASGIApp, Receive, Scope, Send

from checkout_demo import app

THREADS = int(os.environ.get("SHOP_THREADS", "40"))


def limited(inner: ASGIApp) -> ASGIApp:
    """Return the same application; requests share so many threads."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        current_default_thread_limiter().total_tokens = THREADS
        await inner(scope, receive, send)

    return serve


def main() -> None:
    """Serve the store until told to stop."""
    create: Any = app.create_app
    vars(app)["create_app"] = lambda *settings: limited(create(*settings))
    app.main()


if __name__ == "__main__":
    main()
