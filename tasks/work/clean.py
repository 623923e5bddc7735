"""A stranger's page as HTML that may be put into a mail, and as text.

The page is not repaired but written anew: out come only the elements, attributes and URLs that are
named here, and every other character is escaped. So what this module does not know cannot get
through: no script, style, form, frame, event handler, nor a comment that a mail reader understands
in some other way than our parser.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from io import StringIO

from bs4 import BeautifulSoup
from bs4.element import NavigableString, PageElement, Tag

from tasks.work.document import base_of, parse
from tasks.work.errors import PageRefused
from tasks.work.page import Page
from tasks.work.urls import absolute


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BLOCKS = _names(
    "address article aside blockquote br caption dd div dl dt figcaption figure footer h1 h2 h3 h4 "
    "h5 h6 header hr li main nav ol p pre section table tbody td tfoot th thead tr ul"
)
_INLINE = _names(
    "a abbr b bdi bdo cite code del dfn em i img ins kbd mark q s samp small span strong sub sup "
    "time u var"
)
_WRITTEN = _BLOCKS | _INLINE
_WITHOUT_END = _names("br hr img")
_DROPPED = _names(
    "applet audio button canvas datalist embed frame frameset head iframe input map math meter "
    "noembed noframes noscript object optgroup option output param plaintext progress script "
    "select style svg template textarea title video xmp"
)
"""Elements that go with all that is in them. What is neither here nor above keeps its content."""
_ATTRIBUTES = _names("alt colspan dir height lang rowspan title width")
_URL_ATTRIBUTES = {"a": "href", "img": "src"}
_LONGEST_TITLE = 200
_LONGEST_COPY = 5_000_000
"""Characters of a copy, HTML and text: encoded, they fit Postfix's `message_size_limit`, which is
10,240,000 bytes by default. A small page can grow to hundreds of times its size, since each short
link in it becomes a long one."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What is left of a page: its title or "", the inside of an HTML body, the same as text."""

    title: str
    html: str
    text: str


def clean(page: Page) -> Copy:
    """Copy a page without what could do harm or would not work in a mail.

    Links and pictures keep absolute http and https URLs. A page of plain text becomes one block.

    Raises:
        PageRefused: when it is HTML that cannot be read, or too large for a mail.

    """
    if not page.is_html:
        return Copy("", f"<pre>{escape(page.text)}</pre>", page.text.strip())
    soup = parse(page)
    html, text = StringIO(), StringIO()
    for markup, words in _written(soup, base_of(soup, page)):
        html.write(markup)
        text.write(words)
        if html.tell() + text.tell() > _LONGEST_COPY:
            raise PageRefused(page.url, "it is too large for a mail; choose a smaller page")
    return Copy(_title(soup), html.getvalue().strip(), _tidy(text.getvalue()))


def _written(soup: BeautifulSoup, base: str) -> Iterator[tuple[str, str]]:
    """Give what is written for each node: in the HTML, and in the text."""
    for node, opens in _visible(soup):
        if isinstance(node, Tag):
            url = _url(node, base)
            yield _tag(node, url, opens=opens), _around(node, url, opens=opens)
        else:
            yield escape(node), re.sub(r"\s+", " ", node)


def _visible(soup: BeautifulSoup) -> Iterator[tuple[Tag | str, bool]]:
    """Walk through the page: each element as it opens and as it ends, and the text between.

    Without recursion, since a page may nest its elements more deeply than Python its calls.
    """
    waiting: list[tuple[PageElement, bool]] = [(soup, True)]
    while waiting:
        node, opens = waiting.pop()
        if isinstance(node, Tag):
            if node.name in _DROPPED or node.has_attr("hidden"):
                continue
            yield node, opens
            if opens:
                waiting.append((node, False))
                waiting.extend((child, True) for child in reversed(node.contents))
        elif type(node) is NavigableString:  # its subclasses are comments, scripts and the like
            yield str(node), True


def _url(tag: Tag, base: str) -> str | None:
    value = tag.get(_URL_ATTRIBUTES.get(tag.name, ""))
    return absolute(base, value) if isinstance(value, str) else None


def _tag(tag: Tag, url: str | None, *, opens: bool) -> str:
    name = tag.name
    if name not in _WRITTEN or (name == "img" and url is None):
        return ""
    if not opens:
        return "" if name in _WITHOUT_END else f"</{name}>"
    attributes = {key: str(value) for key, value in tag.attrs.items() if key in _ATTRIBUTES}
    if url is not None:
        attributes[_URL_ATTRIBUTES[name]] = url
    written = [f'{key}="{escape(value)}"' for key, value in attributes.items()]
    return f"<{' '.join([name, *written])}>"


def _around(tag: Tag, url: str | None, *, opens: bool) -> str:
    """Return what stands for an element in the text: lines for blocks, URLs for links."""
    if tag.name == "br":
        return "\n" if opens else ""
    if tag.name in _BLOCKS:
        return "\n- " if tag.name == "li" and opens else "\n"
    if tag.name == "img" and opens:
        return re.sub(r"\s+", " ", str(tag.get("alt", "")))
    return f" <{url}> " if tag.name == "a" and url and not opens else ""


def _title(soup: BeautifulSoup) -> str:
    title = soup.find("title")
    return " ".join(title.get_text().split())[:_LONGEST_TITLE] if title else ""


def _tidy(text: str) -> str:
    """Put single spaces between words, and at most one empty line between blocks."""
    lines = "\n".join(" ".join(line.split()) for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip()
