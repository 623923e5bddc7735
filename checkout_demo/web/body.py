"""Keep bodies small: nothing that the store accepts comes near 64 KiB."""

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from checkout_demo.web.errors import error_answer

LARGEST_BODY = 64 * 1024
"""Bytes. An order of fifty lines takes five thousand."""

_PATIENCE = 5.0
"""Seconds: for each part of a body, and for all that comes beyond the limit."""


class BodyLimit:
    """Read the body first, up to the limit, and answer 413 beyond it.

    The announced length is not trusted, and may be missing (chunked bodies): bytes are counted.
    """

    def __init__(self, app: ASGIApp, largest: int = LARGEST_BODY) -> None:
        self.app = app
        self.largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its whole body, or answer 413 or 408."""
        if scope["type"] != "http" or not _has_body(scope):
            await self.app(scope, receive, send)
            return
        body, size = await self._read(receive)
        if size > self.largest:
            reason = f"The body is too large. Send at most {self.largest // 1024} KiB."
            await error_answer(scope, 413, reason, field="body")(scope, receive, send)
        elif body is None:
            reason = "The body did not come to its end in time. Send it again."
            await error_answer(scope, 408, reason, field="body")(scope, receive, send)
        else:
            await self.app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive) -> tuple[bytes | None, int]:
        """Return the body, and how much of it has come; None if that is not all of it.

        What is too large is read and thrown away.
        """
        kept, size = bytearray(), 0
        # Clients that are still sending would see a broken connection instead of the answer; but
        # nobody is listened to for ever.
        more = True
        with anyio.move_on_after(_PATIENCE) as patience:
            while more:
                message = await receive()
                part = message.get("body", b"")
                size += len(part)
                if size <= self.largest:
                    kept += part
                    patience.deadline = anyio.current_time() + _PATIENCE
                more = message.get("more_body", False)
        return (None if more else bytes(kept)), size


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replayed() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
