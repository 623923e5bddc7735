"""What browsers are told about every answer. A view may say something else for its own."""

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

DEFAULTS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    # The address of an order is the key to it, so it goes to no other site.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    # Orders and carts are nobody else's; static files say otherwise.
    "Cache-Control": "no-store",
}

FOREIGN_MAIL: Mapping[str, str] = {
    # A mail is foreign HTML: no scripts, no forms, nothing fetched, an origin of its own, even
    # when its address is opened outside the frame. Its links may open a page of their own.
    "Content-Security-Policy": (
        "sandbox allow-popups allow-popups-to-escape-sandbox; "
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    )
}

DRAWING: Mapping[str, str] = {
    # The products' drawings blend their two inks with a style attribute.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"
}


class SecurityHeaders:
    """Add each header that the answer does not have yet."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the headers to the answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in DEFAULTS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)
