"""The checkout form: what is wrong is said where it is, and nothing typed is lost."""

import pytest

from tests.browser.shopping import change_quantity, fill_in, orders_of, put_in_cart, wait_for_order
from tests.browser.visitor import Visitor
from tests.support.demo import Demo
from tests.support.waiting import wait_for

pytestmark = pytest.mark.browser

REFUSED = "status of 422"
"""Chromium reports every answer to a form that is not a success."""

SLOW_NETWORK = {
    "offline": False,
    # Longer than typing takes on a busy machine.
    "latency": 3_000,
    "downloadThroughput": -1,
    "uploadThroughput": -1,
}

COUNT_REQUESTS = """
window.requests = 0;
const send = fetch;
window.fetch = (...wanted) => {
  requests += 1;
  return send(...wanted);
};
"""


def test_a_bad_email_keeps_the_values_and_says_what_to_change_where_it_is(
    browser: Visitor, demo: Demo
) -> None:
    browser.expect_complaint(REFUSED)
    browser.open("/")
    put_in_cart(browser, "wall-calendar")
    fill_in(browser, "ada at example", name="Ada King")
    browser.click(".checkout button")
    browser.wait_for_text("1 thing needs a change", ".fault-summary")
    wait_for(lambda: browser.has_focus(".fault-summary"), "the focus on the summary")
    assert (browser.value("#name"), browser.value("#email")) == ("Ada King", "ada at example")
    assert browser.text("#email + #email-fault") == browser.text(".fault-summary a")
    assert browser.texts("#email[aria-invalid=true][aria-describedby~=email-fault]") != []
    browser.click(".fault-summary a")
    assert browser.has_focus("#email")
    browser.write("#email", "ada.mends@example.com\n")
    wait_for_order(browser)
    assert "ada.mends@example.com" in browser.text(".receipt-facts")
    assert orders_of(demo, "ada.mends@example.com") == 1


def test_what_is_typed_while_the_cart_changes_is_kept(browser: Visitor) -> None:
    browser.open("/")
    put_in_cart(browser, "wall-calendar")
    browser.tell_browser("Network.enable")
    browser.tell_browser("Network.emulateNetworkConditions", **SLOW_NETWORK)
    browser.click("#desk-mug button")
    fill_in(browser, "ada.types.on@example.com")
    assert "Desk Mug" not in browser.text(".cart-lines"), "the cart was quicker than the typing"
    browser.wait_for_text("Desk Mug", ".cart-lines")
    assert browser.value("#name") == "Ada Lovelace"
    assert browser.value("#email") == "ada.types.on@example.com"
    assert browser.has_focus("#email")


def test_enter_in_a_quantity_sends_it_once(browser: Visitor) -> None:
    browser.before_each_page(COUNT_REQUESTS)
    browser.open("/")
    put_in_cart(browser, "wall-calendar")
    assert browser.script("return requests") == 1
    change_quantity(browser, "wall-calendar", 2)
    assert browser.script("return requests") == 2
