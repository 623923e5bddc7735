"""Fetching from real servers: what is accepted, what is refused, and what may pass."""

import gzip
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.work.errors import PageRefused, PageUnavailable
from tasks.work.fetch import MAX_REDIRECTS, fetch
from tasks.work.page import Page
from tests.support.pages import PageFunction, Pages, Visit, page, redirect
from tests.support.programs import free_port


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages() as server:
        yield server


def got(pages: Pages, function: PageFunction, limit: int = 1000, seconds: float = 30.0) -> Page:
    """Fetch one page from a server of this machine."""
    pages.pages["/"] = function
    return fetch(f"{pages.url}/", allow_private=True, limit=limit, seconds=seconds)


def test_a_page_comes_with_its_final_url_and_its_text(pages: Pages) -> None:
    pages.pages["/old"] = redirect("/new?x=1#part")
    pages.pages["/new?x=1"] = page("<p>Grüße</p>", kind="Text/HTML; charset=UTF-8")
    found = fetch(f" {pages.url}/old ", allow_private=True)
    assert found == Page(f"{pages.url}/new?x=1", "text/html", "<p>Grüße</p>")
    assert found.is_html


def test_the_request_carries_the_host_and_no_cookie(pages: Pages) -> None:
    pages.pages["/next"] = page()
    pages.pages["/"] = lambda visit: visit.reply(
        status=302, headers={"Location": "/next", "Set-Cookie": "a=b"}
    )
    fetch(pages.url, allow_private=True)
    headers = pages.visits[-1][1]
    assert headers["Host"] == f"127.0.0.1:{pages.server_port}"
    assert "Cookie" not in headers


def test_the_environments_proxies_are_not_used(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert got(pages, page()).text == "<p>Hello</p>"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(pages: Pages, status: int) -> None:
    pages.pages["/next"] = page()
    assert got(pages, redirect("/next", status)).url == f"{pages.url}/next"


def test_a_redirect_too_many_is_refused(pages: Pages) -> None:
    for step in range(MAX_REDIRECTS + 1):
        pages.pages[f"/{step}"] = redirect(f"/{step + 1}")
    with pytest.raises(PageRefused, match="redirects more than 5 times"):
        fetch(f"{pages.url}/0", allow_private=True)
    assert pages.paths == [f"/{step}" for step in range(MAX_REDIRECTS + 1)]


@pytest.mark.parametrize(
    "location",
    ["ftp://example.com/", "file:///etc/passwd", "http://ann:pw@example.com/", "http://[", "http:"],
)
def test_a_redirect_to_what_may_not_be_fetched_is_refused(pages: Pages, location: str) -> None:
    with pytest.raises(PageRefused):
        got(pages, redirect(location))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 300, 304])
def test_a_status_that_will_stay_is_refused(pages: Pages, status: int) -> None:
    with pytest.raises(PageRefused, match=f"answered {status}"):
        got(pages, page("" if status == 304 else "no", status=status))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_status_that_may_pass_is_unavailable(pages: Pages, status: int) -> None:
    with pytest.raises(PageUnavailable, match=f"answered {status}"):
        got(pages, page("later", status=status))


def test_nobody_listening_is_unavailable() -> None:
    with pytest.raises(PageUnavailable, match="connection failed"):
        fetch(f"http://127.0.0.1:{free_port()}/", allow_private=True)


def test_a_page_of_exactly_the_limit_is_accepted(pages: Pages) -> None:
    assert len(got(pages, page("x" * 1000)).text) == 1000


def test_a_page_beyond_the_limit_is_refused(pages: Pages) -> None:
    with pytest.raises(PageRefused, match="larger than 1000 bytes"):
        got(pages, page("x" * 1001))


def test_an_endless_page_is_refused_at_the_limit(pages: Pages) -> None:
    start = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
    with pytest.raises(PageRefused, match="larger than 1000 bytes"):
        got(pages, lambda visit: visit.drip(start, b"x" * 400))


def zipped(visit_body: bytes) -> PageFunction:
    """Return a page that says that its body is gzip."""
    return lambda visit: visit.reply(visit_body, headers={"Content-Encoding": "gzip"})


def test_a_compressed_page_is_unpacked(pages: Pages) -> None:
    assert got(pages, zipped(gzip.compress(b"x" * 1000))).text == "x" * 1000


def test_a_compression_bomb_is_stopped_at_the_limit(pages: Pages) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(PageRefused, match="larger than 100000 bytes"):
            got(pages, zipped(bomb), limit=100_000)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_damaged_compression_is_refused(pages: Pages) -> None:
    with pytest.raises(PageRefused, match="compression is damaged"):
        got(pages, zipped(b"this is not gzip at all"))


def test_a_compressed_page_that_ends_too_early_is_unavailable(pages: Pages) -> None:
    with pytest.raises(PageUnavailable, match="ended too early"):
        got(pages, zipped(gzip.compress(b"x" * 1000)[:-9]))


def test_an_encoding_nobody_asked_for_is_refused(pages: Pages) -> None:
    with pytest.raises(PageRefused, match="compressed as br"):
        got(pages, page(headers={"Content-Encoding": "br"}))


def test_a_body_that_is_cut_off_is_unavailable(pages: Pages) -> None:
    def cut_off(visit: Visit) -> None:
        visit.reply(b"half", headers={"Content-Length": "8", "Connection": "close"})

    with pytest.raises(PageUnavailable, match="connection failed"):
        got(pages, cut_off)


@pytest.mark.parametrize("kind", ["image/png", "application/pdf", "application/json", "", None])
def test_what_is_neither_html_nor_text_is_refused(pages: Pages, kind: str | None) -> None:
    with pytest.raises(PageRefused, match="not HTML or text"):
        got(pages, page(kind=kind))


def test_plain_text_is_accepted_as_such(pages: Pages) -> None:
    assert not got(pages, page("1 < 2", kind="text/plain")).is_html


SLOW_STARTS = {
    "headers": b"HTTP/1.1 200 OK\r\nX-Slow: ",
    "body": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 900\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("start", SLOW_STARTS.values(), ids=SLOW_STARTS)
def test_a_server_that_drips_is_unavailable(pages: Pages, start: bytes) -> None:
    drop = b"x" if start else b""
    with pytest.raises(PageUnavailable, match=r"did not come within 0\.3 s"):
        got(pages, lambda visit: visit.drip(start, drop), seconds=0.3)


def test_the_time_limit_covers_all_redirects(pages: Pages) -> None:
    def slow_redirect(visit: Visit) -> None:
        pages.closing.wait(0.2)
        redirect("/")(visit)

    with pytest.raises(PageUnavailable, match=r"did not come within 0\.5 s"):
        got(pages, slow_redirect, seconds=0.5)
    assert len(pages.visits) <= 3


def test_a_name_look_up_that_hangs_is_unavailable(pages: Pages) -> None:
    def hangs(_host: str, _port: int) -> list[str]:
        pages.closing.wait()
        return []

    with pytest.raises(PageUnavailable, match=r"did not come within 0\.1 s"):
        fetch("http://example.com/", seconds=0.1, resolve=hangs)


def nobody(_host: str, _port: int) -> list[str]:
    raise OSError("Name or service not known")


def test_a_name_without_an_address_is_unavailable() -> None:
    with pytest.raises(PageUnavailable, match=r"no address is known for shop\.example"):
        fetch("http://shop.example/", resolve=nobody)


@settings(deadline=None)  # each example loads the certificates
@given(st.text() | st.text().map("http://".__add__) | st.from_regex(r"https?://[^/]*(:\d*)?/?.*"))
def test_no_text_given_as_a_url_raises_anything_else(url: str) -> None:
    with pytest.raises((PageRefused, PageUnavailable)):
        fetch(url, resolve=nobody)
