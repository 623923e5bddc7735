"""Fetching a page that somebody else chose: its address, size and speed are nobody's promise.

Nothing is taken from the environment (no proxy, no certificates, no .netrc), no cookie is kept, and
no URL with a user name or password is used.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import httpcore
import httpx

from tasks.work.addresses import Resolver, resolve
from tasks.work.errors import PageRefused, PageUnavailable
from tasks.work.network import CheckedNetwork, Deadline, NotAllowed
from tasks.work.page import Page, read
from tasks.work.urls import checked

LIMIT = 2 * 1024 * 1024
"""Bytes of a page, as sent and after decompression."""
SECONDS = 10.0
"""From the first name look-up to the last byte, redirects included."""
MAX_REDIRECTS = 5

_REDIRECTS = (301, 302, 303, 307, 308)
_MAY_PASS = (408, 425, 429)
"""Client errors that ask to come again (RFC 9110 section 15.5.9, RFC 8470, RFC 6585)."""
_HEADERS = (
    ("User-Agent", "Expresslane/0.1"),
    ("Accept", "text/html, application/xhtml+xml, text/*;q=0.5"),
    ("Accept-Encoding", "gzip"),
)


def fetch(
    url: str,
    *,
    allow_private: bool = False,
    limit: int = LIMIT,
    seconds: float = SECONDS,
    resolve: Resolver = resolve,
    dialer: httpcore.NetworkBackend | None = None,
) -> Page:
    """Fetch a page over http or https, following at most `MAX_REDIRECTS` redirects.

    Every URL on the way is checked, and so is every address of its host, unless `allow_private`.
    `limit` is in bytes, `seconds` is for the whole fetch. `dialer` opens the connections, the
    system's by default; it is only ever asked for checked addresses.

    Raises:
        PageUnavailable: when it may work later: no address, no connection, no time, 5xx, 408, 425
            or 429.
        PageRefused: when it will not: a scheme, an address, a size or a type that is not allowed,
            any other status.

    """
    network = CheckedNetwork(
        Deadline(seconds),
        allow_private=allow_private,
        resolve=resolve,
        dialer=dialer or httpcore.SyncBackend(),
    )
    target = checked(url.strip())
    context = httpx.create_ssl_context(trust_env=False)
    with httpcore.ConnectionPool(ssl_context=context, network_backend=network) as pool:
        for _ in range(MAX_REDIRECTS + 1):
            with _explained(target, seconds), _ask(pool, target) as answer:
                location = _location(answer, target)
                if location is None:
                    return read(answer, target, limit)
            target = location
    raise PageRefused(url, f"it redirects more than {MAX_REDIRECTS} times; give its final URL")


def _ask(
    pool: httpcore.ConnectionPool, url: httpx.URL
) -> AbstractContextManager[httpcore.Response]:
    target = httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )
    headers = [("Host", url.netloc.decode("ascii")), *_HEADERS]
    return pool.stream("GET", target, headers=headers)


@contextmanager
def _explained(url: httpx.URL, seconds: float) -> Iterator[None]:
    """Turn the network's errors into ours."""
    try:
        yield
    except NotAllowed as error:
        raise PageRefused(str(url), str(error)) from error
    except httpcore.LocalProtocolError as error:
        raise PageRefused(str(url), f"it cannot be asked for ({error}); correct it") from error
    except httpcore.TimeoutException as error:
        why = f"it did not come within {seconds:g} s; try again when its server is less busy"
        raise PageUnavailable(str(url), why) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        why = f"the connection failed ({error}); check the address, or try again later"
        raise PageUnavailable(str(url), why) from error


def _location(answer: httpcore.Response, url: httpx.URL) -> httpx.URL | None:
    """Return where the answer redirects to, or None if it is the page."""
    status = answer.status
    if 200 <= status < 300:
        return None
    if status >= 500 or status in _MAY_PASS:
        raise PageUnavailable(str(url), f"its server answered {status}; try again later")
    location = httpx.Headers(answer.headers).get("location")
    if status not in _REDIRECTS or location is None:
        raise PageRefused(str(url), f"its server answered {status}; check the address")
    try:
        return checked(str(url.join(location)))
    except (httpx.InvalidURL, ValueError) as error:
        raise PageRefused(str(url), "it redirects to what is not a URL; tell its owner") from error
