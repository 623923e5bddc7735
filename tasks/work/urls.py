"""URLs that somebody else wrote: which may be fetched, and which may be handed on."""

import re
from urllib.parse import urljoin

import httpx

from tasks.work.errors import PageRefused

_LONGEST = 8000
"""Octets of a URL that every server should support (RFC 9110 section 4.1)."""
_LONGEST_LINK = 2000
"""Characters of a link that is handed on: longer ones are not meant for people."""
_LAST_PORT = 65_535
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_WEB = ("http", "https")


def checked(url: str) -> httpx.URL:
    """Parse a URL that may be fetched; which addresses its host has is not looked at.

    Raises:
        PageRefused: when it is none.

    """
    if len(url) > _LONGEST:
        raise PageRefused(url, f"it is longer than {_LONGEST} characters; shorten it")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise PageRefused(url, f"it is not a URL ({error}); correct it") from error
    host = parsed.raw_host.decode("ascii")
    if parsed.scheme not in _WEB or not host:
        raise PageRefused(url, "write it as http://host/path or https://host/path")
    if parsed.userinfo:
        raise PageRefused(url, "it holds a user name or password; only public pages are fetched")
    if not _HOST.fullmatch(host) or (parsed.port or 1) > _LAST_PORT:
        raise PageRefused(url, "its host or port cannot exist; correct it")
    # "name." and "name" are one host, and TLS knows only the latter (RFC 6066 section 3).
    return parsed.copy_with(host=host.removesuffix(".")) if host.endswith(".") else parsed


def absolute(base: str, reference: str) -> str | None:
    """Return what a link on a page leads to, or None unless that is a web page.

    `base` is the URL that the link is relative to. The result has at most 2000 characters.
    """
    if len(reference) > _LONGEST_LINK:
        return None
    try:
        url = httpx.URL(urljoin(base, reference.strip()))
    except (httpx.InvalidURL, ValueError):
        return None
    written = str(url)
    usable = url.scheme in _WEB and url.raw_host and not url.userinfo
    return written if usable and len(written) <= _LONGEST_LINK else None
