"""Somebody at the store, with a browser: what one can do there, and what one sees."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from selenium.common.exceptions import (
    ElementNotInteractableException,
    StaleElementReferenceException,
)
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.support.waiting import wait_for

Seen = TypeVar("Seen")

MOST_TABS = 80
"""More than any page here has things that take the focus."""

_TEXTS = "return Array.from(document.querySelectorAll(arguments[0]), one => one.innerText.trim())"
# Out from under whatever is fixed to an edge of the window.
_TO_THE_MIDDLE = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})"
_FOCUS_IS = "return document.activeElement.matches(arguments[0])"
# The ring is the style sheet's; `outline-style: auto` would be the browser's own.
_FOCUS_IS_SEEN = """
const style = getComputedStyle(document.activeElement);
return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
"""


class Visitor:
    """One tab of a browser, at one store. Selectors are CSS."""

    def __init__(self, driver: Chrome, store: str) -> None:
        self.driver = driver
        self.store = store
        self.expected_complaints: list[str] = []

    # What one does.

    def open(self, path: str) -> None:
        """Go to a page of the store."""
        self.driver.get(self.store + path)

    def click(self, selector: str) -> None:
        """Scroll to the first of these, and click it."""

        def click(wanted: WebElement) -> None:
            self.script(_TO_THE_MIDDLE, wanted)
            wanted.click()

        self._do(selector, click)

    def double_click(self, selector: str) -> None:
        """Click twice, as fast as one does it by mistake."""
        ActionChains(self.driver).double_click(self.find(selector)).perform()

    def write(self, selector: str, text: str) -> None:
        """Put this text into a field, in the place of what is there."""

        def write(field: WebElement) -> None:
            field.clear()
            field.send_keys(text)

        self._do(selector, write)

    def press(self, *keys: str) -> None:
        """Press keys wherever the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, selector: str) -> None:
        """Press Tab until the focus is there; wherever it goes on its way, one must see it."""
        for _ in range(MOST_TABS):
            self.press(Keys.TAB)
            assert self.script(_FOCUS_IS_SEEN), (
                f"one does not see that {self.focused} has the focus"
            )
            if self.has_focus(selector):
                return
        raise AssertionError(f"{MOST_TABS} times Tab did not lead to {selector}")

    def _do(self, selector: str, deed: Callable[[WebElement], None]) -> None:
        """Do it to the first of these; once more, if the page puts a new one there meanwhile."""

        def done() -> bool:
            try:
                deed(self.find(selector))
            except (StaleElementReferenceException, ElementNotInteractableException):
                # Replaced in this moment, or there and not laid out yet.
                return False
            return True

        wait_for(done, f"{selector} to stay")

    # What one sees.

    @property
    def path(self) -> str:
        """The path of the page."""
        return urlsplit(self.driver.current_url).path

    def find(self, selector: str) -> WebElement:
        """Return the first of these."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    @property
    def focused(self) -> str:
        """The HTML of what has the focus."""
        return str(self.script("return document.activeElement.outerHTML"))

    def has_focus(self, selector: str) -> bool:
        """Tell whether the focus is on one of these."""
        return bool(self.script(_FOCUS_IS, selector))

    def texts(self, selector: str) -> list[str]:
        """Return what stands in each of these, all read at one moment."""
        found: list[str] = self.script(_TEXTS, selector)
        return found

    def text(self, selector: str = "body") -> str:
        """Return what stands in the first of these; nothing if there is none."""
        return next(iter(self.texts(selector)), "")

    def value(self, selector: str) -> str:
        """Return what is in a field."""
        return str(self.find(selector).get_property("value"))

    def wait_for(self, seen: Callable[[], Seen], what: str) -> Seen:
        """Wait until one sees it."""
        return wait_for(seen, what)

    def wait_for_text(self, text: str, selector: str = "body") -> None:
        """Wait until it is read there."""
        try:
            wait_for(lambda: text in self.text(selector), f"{text!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}; {selector} says: {self.text(selector)}") from None

    @contextmanager
    def without_reload(self) -> Iterator[None]:
        """Check that it is the same document afterwards."""
        self.script("window.isTheSame = true")
        yield
        assert self.script("return window.isTheSame === true"), "the page was loaded anew"

    # What only a test can do.

    def script(self, code: str, *arguments: object) -> Any:  # noqa: ANN401 (any JSON)
        """Run a script inside the page, and return what it returns."""
        return self.driver.execute_script(code, *arguments)

    def before_each_page(self, code: str) -> None:
        """Run a script in each page from now on, before the page's own ones."""
        self.tell_browser("Page.addScriptToEvaluateOnNewDocument", source=code)

    def tell_browser(self, command: str, **arguments: object) -> None:
        """Send a command of the DevTools protocol."""
        self.driver.execute_cdp_cmd(command, arguments)

    def expect_complaint(self, text: str) -> None:
        """Say that a complaint with this text belongs to the test."""
        self.expected_complaints.append(text)

    def complaints(self) -> list[str]:
        """Return the console's new errors and policy violations, but for the expected ones."""
        log = self.driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's gap
        return [
            entry["message"]
            for entry in log
            if entry["level"] == "SEVERE" or "Content Security Policy" in entry["message"]
            if not any(text in entry["message"] for text in self.expected_complaints)
        ]
