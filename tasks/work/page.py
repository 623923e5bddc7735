"""A fetched page, and how it is read from the server's answer."""

import zlib
from dataclasses import dataclass

import httpcore
import httpx

from tasks.work.charset import decode
from tasks.work.errors import PageRefused, PageUnavailable

_HTML = ("text/html", "application/xhtml+xml")
_GZIP = 16 + zlib.MAX_WBITS
"""The window size by which zlib expects gzip's header (zlib manual, inflateInit2)."""


@dataclass(frozen=True, slots=True)
class Page:
    """A fetched page: the URL it came from in the end, its media type and its text."""

    url: str
    media_type: str
    text: str

    @property
    def is_html(self) -> bool:
        """Tell whether the text is HTML; otherwise it is plain."""
        return self.media_type in _HTML


def read(answer: httpcore.Response, url: httpx.URL, limit: int) -> Page:
    """Read the page from an answer, at most `limit` bytes, counted before and after decompression.

    Raises:
        PageUnavailable: when it ends too early.
        PageRefused: when it is too large, neither HTML nor text, or compressed in an odd way.

    """
    headers = httpx.Headers(answer.headers)
    content_type = headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in _HTML and not media_type.startswith("text/"):
        why = f"it is {media_type or 'of no stated type'}, not HTML or text; choose another page"
        raise PageRefused(str(url), why)
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise PageRefused(str(url), f"it is compressed as {encoding}, which was not asked for")
    body = _body(answer, url, zipped=encoding != "identity", limit=limit)
    text = decode(body, content_type, is_html=media_type in _HTML)
    return Page(str(url.copy_with(fragment=None)), media_type, text)


def _body(answer: httpcore.Response, url: httpx.URL, *, zipped: bool, limit: int) -> bytes:
    unzip = zlib.decompressobj(_GZIP) if zipped else None
    arrived, body = 0, bytearray()
    for chunk in answer.iter_stream():
        arrived += len(chunk)
        try:
            # One byte more than allowed is the most that is ever unpacked: a bomb stops there.
            body += unzip.decompress(chunk, limit + 1 - len(body)) if unzip else chunk
        except zlib.error as error:
            raise PageRefused(str(url), f"its compression is damaged ({error})") from error
        if max(arrived, len(body)) > limit:
            raise PageRefused(str(url), f"it is larger than {limit} bytes; choose a smaller page")
    if unzip and arrived and not unzip.eof:
        raise PageUnavailable(str(url), "it ended too early; try again later")
    return bytes(body)
