"""One log line for each request, and an answer even where the code has a fault."""

from time import monotonic

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from checkout_demo.web.errors import error_answer

_logger = structlog.stdlib.get_logger(__name__)


class AccessLog:
    """Log method, path, status and milliseconds; never a query string, a header or a body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log what came of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 0
        started = monotonic()

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except Exception:
            _logger.exception("request failed", path=scope["path"])
            if status:
                # Half an answer is out: cutting the connection is all that tells the client.
                raise
            await error_answer(scope, 500)(scope, receive, send_and_note)
        finally:
            _logger.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round((monotonic() - started) * 1000, 1),
            )
