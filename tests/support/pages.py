"""A real HTTP server whose every page is a function of the test's own."""

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

PageFunction = Callable[["Visit"], None]


class Visit(BaseHTTPRequestHandler):
    """One request. A page function answers it with `reply` or, more slowly, with `drip`."""

    protocol_version = "HTTP/1.1"
    server: "Pages"

    def do_GET(self) -> None:
        self.server.visits.append((self.path, dict(self.headers)))
        page = self.server.pages.get(self.path)
        if page is None:
            self.reply(b"not here", status=404)
        else:
            page(self)

    def reply(
        self,
        body: bytes = b"",
        *,
        status: int = 200,
        kind: str | None = "text/html; charset=utf-8",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer at once."""
        self.send_response(status)
        every = {"Content-Length": str(len(body)), **(headers or {})}
        if kind is not None:
            every["Content-Type"] = kind
        for name, value in every.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, start: bytes, drop: bytes) -> None:
        """Write `start` and then `drop` for ever, a little at a time, until the client is gone."""
        self.wfile.write(start)
        while not self.server.closing.wait(0.02):
            self.wfile.write(drop)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Pages(ThreadingHTTPServer):
    """The server, on a free port of the loopback interface."""

    def __init__(self, pages: Mapping[str, PageFunction] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Visit)
        self.pages: dict[str, PageFunction] = dict(pages or {})
        self.visits: list[tuple[str, dict[str, str]]] = []
        self.closing = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """The server's address, without a slash at its end."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [path for path, _ in self.visits]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (socketserver's)
        """Be silent: a client that goes away in the middle is what some tests are about."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


def page(body: str = "<p>Hello</p>", **answer: Any) -> PageFunction:
    """Return a page that answers with this body."""
    return lambda visit: visit.reply(body.encode(), **answer)


def redirect(location: str, status: int = 302) -> PageFunction:
    """Return a page that sends the client elsewhere."""
    return lambda visit: visit.reply(status=status, headers={"Location": location})
