"""On a phone: nothing is wider than the screen, and a thumb hits every button."""

from collections.abc import Callable

import pytest

from tests.browser.shopping import buy, fill_in, put_in_cart, wait_until_complete
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser

WIDTH = 390
"""CSS pixels: the commonest width of phones."""

THUMB = 44
"""CSS pixels that a target of a thumb measures at least (WCAG 2.2, success criterion 2.5.5)."""

SCREEN = {"width": WIDTH, "height": 844, "deviceScaleFactor": 2, "mobile": True}

LONG = "Bartholomew" * 8
"""A name without a space to break it at, nearly as long as the store takes."""

_TOO_WIDE = """
const page = document.documentElement;
if (page.scrollWidth <= arguments[0] && innerWidth <= arguments[0]) return [];
return Array.from(document.querySelectorAll("main *, header *, footer *"))
  .filter((one) => one.getBoundingClientRect().right > arguments[0])
  .map((one) => one.outerHTML.slice(0, 120))
  .concat(`the page is ${page.scrollWidth} px wide`);
"""
_TOO_LOW = """
const targets = "button, input:not([type=hidden]), summary, nav a, .cart-chip, .cart-bar";
return Array.from(document.querySelectorAll(targets))
  .map((one) => [Math.round(one.getBoundingClientRect().height), one])
  .filter(([height, one]) => one.checkVisibility() && height < arguments[0])
  .map(([height, one]) => `${height} px: ${one.outerHTML.slice(0, 120)}`);
"""


@pytest.fixture
def phone(browser: Visitor) -> Visitor:
    """A visitor with a small screen."""
    browser.tell_browser("Emulation.setDeviceMetricsOverride", **SCREEN)
    return browser


def catalogue(visitor: Visitor) -> None:
    visitor.open("/")
    put_in_cart(visitor, "press-pot")
    put_in_cart(visitor, "morning-ledger")


def refused_form(visitor: Visitor) -> None:
    visitor.expect_complaint("status of 422")
    catalogue(visitor)
    fill_in(visitor, f"{LONG}@", name=LONG)
    visitor.click(".checkout button")
    visitor.wait_for_text("needs a change", ".fault-summary")


def order(visitor: Visitor) -> None:
    buy(visitor, "press-pot", f"{LONG[:60]}@{'example.' * 6}com", name=LONG)
    wait_until_complete(visitor)


def mail(visitor: Visitor) -> None:
    order(visitor)
    visitor.open("/inbox")
    visitor.click(".mails li a")


def inbox(visitor: Visitor) -> None:
    order(visitor)
    visitor.open("/inbox")


def effects(visitor: Visitor) -> None:
    order(visitor)
    visitor.open("/operator/effects?show=all")


def effect(visitor: Visitor) -> None:
    effects(visitor)
    visitor.click(".ledger li a")
    visitor.wait_for_text("Run it once more", ".replay")


def sample_jobs(visitor: Visitor) -> None:
    visitor.open("/demo")


def sample_job(visitor: Visitor) -> None:
    visitor.open("/demo")
    visitor.write("#clock-payload", LONG * 4)
    visitor.write("#clock-wait_at_most", "0")
    visitor.find("#clock-payload").submit()
    visitor.wait_for_text("Complete", ".job")


def nothing_there(visitor: Visitor) -> None:
    visitor.expect_complaint("status of 404")
    visitor.open("/orders/nothing-there")


PAGES = (
    *(catalogue, refused_form, order, inbox, mail, effects, effect),
    *(sample_jobs, sample_job, nothing_there),
)


@pytest.mark.parametrize("lead_to", PAGES, ids=lambda page: page.__name__)
def test_a_page_fits_a_phone(lead_to: Callable[[Visitor], None], phone: Visitor) -> None:
    lead_to(phone)
    assert phone.script(_TOO_WIDE, WIDTH) == []
    assert phone.script(_TOO_LOW, THUMB) == []
