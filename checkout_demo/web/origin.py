"""Refuse what another site makes a visitor's browser do: the cart is in a cookie."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from checkout_demo.web.errors import error_answer

_LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})


class SameOrigin:
    """Let a browser act only from the store's own pages. Programs send neither header."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "http" and scope["method"] not in _LOOKING and _is_foreign(scope):
            reason = "This request came from another site. Use the store's own pages for it."
            await error_answer(scope, 403, reason, field="Origin")(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_foreign(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        # "none" is the visitor's own doing: a bookmark, or a form sent again by reload.
        return site not in ("same-origin", "none")
    origin = headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("Host")
