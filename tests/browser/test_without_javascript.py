"""Without JavaScript, everything works by forms and by loading the page again."""

import pytest

from tests.browser.conftest import Faults
from tests.browser.shopping import SLOW, orders_of, put_in_cart, states, wait_for_order
from tests.browser.visitor import Visitor
from tests.support.demo import Demo

pytestmark = pytest.mark.browser


def complete_after_a_look(visitor: Visitor) -> bool:
    """Tell whether all jobs are Complete; if not, load the page again."""
    if set(states(visitor)) == {"Complete"}:
        return True
    visitor.click(".jobs > .no-script a")
    return False


def test_an_order_is_placed_and_followed_without_javascript(
    plain_browser: Visitor, faults: Faults
) -> None:
    faults(latency_ms=SLOW)
    plain_browser.open("/")
    put_in_cart(plain_browser, "cedar-pencils")
    plain_browser.write("#quantity-cedar-pencils", "2")
    plain_browser.click(".quantity button")
    plain_browser.wait_for_text("€24.00", ".cart-total")
    plain_browser.write("#name", "Ada")
    plain_browser.write("#email", "ada.reloads@example.com")
    plain_browser.click(".checkout button")
    wait_for_order(plain_browser)
    assert plain_browser.text(".receipt-total-number") == "€24.00"
    assert set(states(plain_browser)) != {"Complete"}, "there was nothing to wait for"
    plain_browser.wait_for(lambda: complete_after_a_look(plain_browser), "three Complete jobs")
    assert plain_browser.texts(".no-script") == []


def test_a_double_click_without_javascript_makes_one_order(
    plain_browser: Visitor, demo: Demo
) -> None:
    plain_browser.open("/")
    put_in_cart(plain_browser, "cedar-pencils")
    plain_browser.write("#name", "Ada")
    plain_browser.write("#email", "ada.clicks.plainly@example.com")
    plain_browser.double_click(".checkout button")
    wait_for_order(plain_browser)
    assert orders_of(demo, "ada.clicks.plainly@example.com") == 1
