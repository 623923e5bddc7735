"""The links of a page, as data."""

from collections.abc import Iterator
from itertools import islice
from typing import TypeAlias

import soupsieve
from bs4.element import NavigableString, Tag

from tasks.work.document import base_of, parse
from tasks.work.errors import PageRefused
from tasks.work.page import Page
from tasks.work.urls import absolute

_LONGEST_SELECTOR = 500
_LONGEST_TEXT = 200
"""Characters of a link's text that are kept, so that 1000 links stay a small result."""
_PARTS = 100
"""Nodes inside a link in which its text is looked for, since links within links share theirs."""


Link: TypeAlias = dict[str, str]
"""`{"text", "href"}`: a link's text on one line, and the http or https URL it leads to."""


def compiled(selector: str, url: str) -> soupsieve.SoupSieve:
    """Compile a CSS selector; `url` is the page it is meant for.

    Raises:
        PageRefused: when it cannot be used.

    """
    if len(selector) > _LONGEST_SELECTOR:
        raise PageRefused(url, f"its selector is longer than {_LONGEST_SELECTOR} characters")
    try:
        return soupsieve.compile(selector)
    except (soupsieve.SelectorSyntaxError, NotImplementedError, ValueError) as error:
        problem = str(error).partition("\n")[0]
        why = f"{selector!r} is not a CSS selector that can be used ({problem}); try 'a[href]'"
        raise PageRefused(url, why) from error


def links(page: Page, selector: str, limit: int) -> Iterator[Link]:
    """Give the first `limit` links that the selector finds, in the order of the page.

    What it finds without an `href`, or with one that leads to no web page, is passed over.

    Raises:
        PageRefused: when the selector cannot be used, or the page is not HTML.

    """
    chosen = compiled(selector, page.url)
    soup = parse(page)
    base = base_of(soup, page)
    return islice(_links(chosen.iselect(soup), base), limit)


def _links(elements: Iterator[Tag], base: str) -> Iterator[Link]:
    for element in elements:
        reference = element.get("href")
        href = absolute(base, reference) if isinstance(reference, str) else None
        if href is not None:
            yield {"text": _text(element), "href": href}


def _text(element: Tag) -> str:
    # Comments, scripts and the like are subclasses of NavigableString, and no text.
    parts = (node for node in islice(element.descendants, _PARTS) if type(node) is NavigableString)
    return " ".join("".join(parts).split())[:_LONGEST_TEXT]
