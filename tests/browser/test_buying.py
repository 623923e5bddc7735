"""The main job: buy with clicks, see the receipt at once, and watch the rest follow."""

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import Faults
from tests.browser.shopping import (
    SLOW,
    buy,
    change_quantity,
    fill_in,
    orders_of,
    place_order,
    put_in_cart,
    states,
    wait_for_order,
    wait_until_complete,
)
from tests.browser.visitor import Visitor
from tests.support.demo import Demo

pytestmark = pytest.mark.browser

ADA = "ada.buys@example.com"


def open_newest_mail(visitor: Visitor, to: str) -> None:
    visitor.click('nav a[href="/inbox"]')
    visitor.wait_for_text(to, ".mails li:first-child")
    visitor.click(".mails li:first-child a")


def read_mail(visitor: Visitor) -> str:
    """Return what the mail on this page says, and leave its frame again."""
    visitor.driver.switch_to.frame(visitor.find("iframe"))
    text = visitor.text()
    visitor.driver.switch_to.default_content()
    return text


def test_an_order_shows_its_receipt_at_once_its_jobs_completing_and_its_mail(
    browser: Visitor, faults: Faults
) -> None:
    faults(latency_ms=SLOW)
    browser.open("/")
    with browser.without_reload():
        put_in_cart(browser, "press-pot")
        put_in_cart(browser, "house-beans")
        change_quantity(browser, "house-beans", 3)
    assert browser.text(".cart-total strong") == "€76.50"
    place_order(browser, ADA)
    assert browser.text("h1") == "Thank you, Ada Lovelace."
    assert browser.text(".receipt-total-number") == "€76.50"
    assert "3 \N{MULTIPLICATION SIGN} €11.50" in browser.text(".receipt-lines")
    assert set(states(browser)) != {"Complete"}, "there was nothing to watch"
    with browser.without_reload():
        wait_until_complete(browser)
    assert browser.text("[data-summary]") == "All 3 jobs are complete."
    assert f"Sent to {ADA}." in browser.texts(".job .now")
    open_newest_mail(browser, ADA)
    assert "€76.50" in read_mail(browser)


def test_a_double_click_on_the_checkout_button_makes_one_order(
    browser: Visitor, demo: Demo
) -> None:
    browser.open("/")
    put_in_cart(browser, "desk-mug")
    fill_in(browser, "ada.clicks.twice@example.com")
    browser.double_click(".checkout button")
    wait_for_order(browser)
    wait_until_complete(browser)
    assert orders_of(demo, "ada.clicks.twice@example.com") == 1


def test_the_whole_purchase_can_be_made_with_the_keyboard(browser: Visitor) -> None:
    browser.open("/")
    browser.press(Keys.TAB)
    assert browser.has_focus(".skip")
    browser.tab_to("#press-pot button")
    browser.press(Keys.ENTER)
    browser.wait_for_text("Press Pot", ".cart-lines")
    assert browser.has_focus("#press-pot button")
    browser.tab_to("#quantity-press-pot")
    browser.press("2", Keys.ENTER)
    browser.wait_for_text("€84.00", ".cart-total")
    assert browser.has_focus("#quantity-press-pot")
    browser.tab_to("#name")
    browser.press("Ada")
    browser.tab_to("#email")
    browser.press("ada.types@example.com")
    browser.tab_to(".checkout button")
    browser.press(Keys.ENTER)
    wait_for_order(browser)
    assert browser.text(".receipt-total-number") == "€84.00"
    wait_until_complete(browser)
    browser.tab_to(".job footer a")


def test_buying_again_starts_with_an_empty_cart(browser: Visitor) -> None:
    buy(browser, "letter-set", "ada.again@example.com")
    browser.click(".wordmark")
    browser.wait_for_text("Nothing in it yet.", "#cart")
    assert browser.text(".cart-chip .count") == "0"
