"""One id for each request: on every log line, in its jobs, and in the answer."""

import re
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config import bound as log_fields

HEADER = "X-Request-ID"

# It ends up in logs and in job messages, so a caller cannot put just anything there.
_SANE = re.compile(r"[A-Za-z0-9._-]{8,64}")


class RequestId:
    """Take the caller's `X-Request-ID` if it is sane, else make one; bind it while the app runs."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its id bound to the log lines."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if _SANE.fullmatch(given) else uuid4().hex

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        tokens = log_fields.bind({"request_id": request_id})
        try:
            await self.app(scope, receive, send_with_id)
        finally:
            log_fields.unbind(tokens)
