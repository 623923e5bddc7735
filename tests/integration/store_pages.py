"""The store's pages as a browser without JavaScript sees and uses them."""

from html.parser import HTMLParser

import httpx

from tests.support.store import ADA


class Page(HTMLParser):
    """What a page holds: its elements with their attributes, and its words."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__()
        self.status = answer.status_code
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(answer.text)
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def field(self, name: str) -> dict[str, str]:
        return next(field for field in self.all("input") if field.get("name") == name)


def look(browser: httpx.Client, path: str) -> Page:
    return Page(browser.get(path, follow_redirects=True))


def act(browser: httpx.Client, path: str, **fields: str) -> Page:
    return Page(browser.post(path, data=fields, follow_redirects=True))


def form(page: Page, **fields: str) -> dict[str, str]:
    """Fill the checkout form as it came."""
    hidden = {name: page.field(name)["value"] for name in ("checkout_key", "seen")}
    return {**hidden, **ADA, **fields}
