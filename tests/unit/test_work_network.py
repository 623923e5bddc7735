"""A fetch connects to checked addresses only, whatever names and redirects say."""

import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import httpcore
import pytest

from tasks.work.addresses import Resolver
from tasks.work.errors import PageRefused, PageUnavailable
from tasks.work.fetch import fetch
from tests.support.pages import Pages, page, redirect

PUBLIC = "93.184.216.34"
OTHER_PUBLIC = "2606:4700::1111"


class Dialer(httpcore.NetworkBackend):
    """Writes down which addresses it is asked for, and connects to a server of this machine."""

    def __init__(self, port: int = 0, dead: Sequence[str] = ()) -> None:
        self.port = port
        self.dead = dead
        self.dialled: list[str] = []

    def connect_tcp(
        self,
        host: str,
        port: int,  # noqa: ARG002 (httpcore's signature)
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 (httpcore's signature)
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 (httpcore's signature)
    ) -> httpcore.NetworkStream:
        self.dialled.append(host)
        if host in self.dead or not self.port:
            raise httpcore.ConnectError("nobody there")
        return httpcore.SyncBackend().connect_tcp("127.0.0.1", self.port, timeout)


class Names:
    """A resolver that gives one answer after the other, the last one for ever."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self.answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, _port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.answers[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages({"/": page()}) as server:
        yield server


def refused(url: str, **how: Any) -> None:
    """Check that the URL is refused for its address, without any connection."""
    dialer = Dialer()
    with pytest.raises(PageRefused, match="FETCH_PRIVATE_ADDRESSES"):
        fetch(url, dialer=dialer, **how)
    assert dialer.dialled == []


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1.", "127.1", "2130706433", "0x7f000001", "0x7F.1", "0177.1"),
        "0.0.0.0",  # noqa: S104 (nothing is bound to it)
        *("0", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1"),
        *("169.254.169.254", "2852039166", "224.0.0.1", "255.255.255.255", "240.0.0.1"),
        *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]"),
        *("[fd00::1]", "[fe80::1]", "[ff02::1]", "[2002:7f00:1::]", "[::127.0.0.1]"),
        *("localhost", "LOCALHOST", "localhost.", "a.localhost", "a.localhost."),
    ],
)
@pytest.mark.parametrize("form", ["http://{}/", "https://{}:8443/x"])
def test_a_private_host_is_refused_without_a_connection(host: str, form: str) -> None:
    refused(form.format(host))


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "//example.com"),
        *("example.com", "", "http://", "http:example.com", "javascript:alert(1)", "http://[::1"),
        *(
            "http://ann:pw@example.com/",
            "http://ann@example.com/",
            "http://a b.example/",
            "http://0177.0.0.1/",
        ),
        *("http://example.com:65536/", "http://exa%6dple.com/", "http://example.com/\x00"),
        "http://example.com/" + "x" * 8000,
    ],
)
def test_a_url_that_may_not_be_fetched_is_refused_before_its_name_is_looked_up(url: str) -> None:
    names = Names()
    with pytest.raises(PageRefused):
        fetch(url, resolve=names, dialer=Dialer())
    assert names.asked == []


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    refused("http://shop.example/", resolve=Names(shop_example=[[PUBLIC, "10.0.0.1"]]))


def test_a_name_that_changes_to_loopback_after_the_check_is_not_asked_again(pages: Pages) -> None:
    names = Names(shop_example=[[PUBLIC], ["127.0.0.1"]])
    dialer = Dialer(pages.server_port)
    assert fetch("http://shop.example/", resolve=names, dialer=dialer).text == "<p>Hello</p>"
    assert (names.asked, dialer.dialled) == (["shop.example"], [PUBLIC])


def test_a_name_that_changes_to_loopback_between_redirects_is_refused(pages: Pages) -> None:
    pages.pages["/"] = lambda visit: visit.reply(
        status=302, headers={"Location": "http://shop.example/next", "Connection": "close"}
    )
    names = Names(shop_example=[[PUBLIC], ["127.0.0.1"]])
    dialer = Dialer(pages.server_port)
    with pytest.raises(PageRefused, match="FETCH_PRIVATE_ADDRESSES"):
        fetch("http://shop.example/", resolve=names, dialer=dialer)
    assert (dialer.dialled, pages.paths) == ([PUBLIC], ["/"])


@pytest.mark.parametrize("target", ["http://127.0.0.1/", "http://[::1]/", "//localhost/"])
def test_a_redirect_to_a_private_host_is_refused(pages: Pages, target: str) -> None:
    pages.pages["/"] = redirect(target)
    dialer = Dialer(pages.server_port)

    def resolve(host: str, _port: int) -> Sequence[str]:
        return [PUBLIC] if host == "shop.example" else [host]

    with pytest.raises(PageRefused, match="FETCH_PRIVATE_ADDRESSES"):
        fetch("http://shop.example/", resolve=resolve, dialer=dialer)
    assert dialer.dialled == [PUBLIC]


def test_the_next_address_is_tried_when_one_is_dead(pages: Pages) -> None:
    dialer = Dialer(pages.server_port, dead=[OTHER_PUBLIC])
    names = Names(shop_example=[[OTHER_PUBLIC, PUBLIC]])
    fetch("http://shop.example/", resolve=names, dialer=dialer)
    assert dialer.dialled == [OTHER_PUBLIC, PUBLIC]


@pytest.mark.parametrize("answers", [[], [PUBLIC, OTHER_PUBLIC]])
def test_a_host_that_nobody_answers_for_is_unavailable(answers: list[str]) -> None:
    with pytest.raises(PageUnavailable):
        fetch("http://shop.example/", resolve=Names(shop_example=[answers]), dialer=Dialer())


def test_the_host_header_is_the_name_and_not_the_address(pages: Pages) -> None:
    names: Resolver = Names(shop_example=[[PUBLIC]])
    fetch("http://shop.example.:8080/", resolve=names, dialer=Dialer(pages.server_port))
    assert pages.visits[0][1]["Host"] == "shop.example:8080"


def test_tls_is_asked_for_the_name_and_not_for_the_address() -> None:
    """The server has no certificate: it hears the name, and ends the handshake."""
    heard: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _socket, name, _context: heard.append(name)

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, pytest.raises(OSError):  # noqa: PT011 (any: there is no certificate)
            context.wrap_socket(connection, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        dialer = Dialer(listener.getsockname()[1])
        with pytest.raises(PageUnavailable, match="connection failed"):
            fetch("https://shop.example/", resolve=Names(shop_example=[[PUBLIC]]), dialer=dialer)
        server.join()
    assert (heard, dialer.dialled) == (["shop.example"], [PUBLIC])
