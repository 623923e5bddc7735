import httpx
import pytest

from checkout_demo.catalogue import CATALOGUE
from tests.integration.store_fixtures import browser, store
from tests.integration.store_pages import act, form, look
from tests.support.store import ADA, StoreProcess, rows

__all__ = ["browser", "store"]


def test_every_product_can_be_added(browser: httpx.Client) -> None:
    page = look(browser, "/")
    offered = [field["value"] for field in page.all("input") if field["name"] == "sku"]
    assert offered == [product.sku for product in CATALOGUE]
    assert "Nothing in it yet" in page.words


def test_the_cart_works_without_javascript(browser: httpx.Client) -> None:
    assert "Press Pot is in your cart." in act(browser, "/cart", sku="press-pot").words
    act(browser, "/cart", sku="press-pot", quantity="2")
    assert look(browser, "/").field("quantity")["value"] == "3"
    page = act(browser, "/cart/press-pot", quantity="5")
    assert "5 of Press Pot in your cart." in page.words
    assert "€210.00" in page.words
    assert "out of your cart" in act(browser, "/cart/press-pot", quantity="0").words
    assert "Nothing in it yet" in look(browser, "/").words


def test_a_sentence_is_said_once(browser: httpx.Client) -> None:
    act(browser, "/cart", sku="press-pot")
    assert "is in your cart." not in look(browser, "/").words


@pytest.mark.parametrize("quantity", ["-1", "100", "1000000000", "1.5", "x", "", "٣", "0"])
def test_an_absurd_quantity_changes_no_cart(browser: httpx.Client, quantity: str) -> None:
    page = act(browser, "/cart", sku="press-pot", quantity=quantity)
    assert page.status == 422
    assert "a cart holds 1 to 99" in page.words
    assert "cart" not in browser.cookies


def test_an_unknown_product_changes_no_cart(browser: httpx.Client) -> None:
    page = act(browser, "/cart", sku="no-such-thing")
    assert (page.status, "There is no such product." in page.words) == (422, True)


def test_a_checkout_leads_to_the_receipt(browser: httpx.Client) -> None:
    act(browser, "/cart", sku="press-pot", quantity="2")
    answer = browser.post("/checkout", data=form(look(browser, "/")))
    assert answer.status_code == 303
    page = look(browser, answer.headers["Location"])
    assert "Thank you, Ada Lovelace." in page.words
    assert "€84.00" in page.words
    assert "3 waiting." in page.words
    assert [job["data-state"] for job in page.all("article") if "data-job" in job] == [
        "Waiting"
    ] * 3
    assert "cart" not in browser.cookies


def test_two_clicks_make_one_order(browser: httpx.Client, store: StoreProcess) -> None:
    act(browser, "/cart", sku="press-pot")
    filled = form(look(browser, "/"))
    before = rows(store.database)["order"]
    cookies = dict(browser.cookies)
    places = [browser.post("/checkout", data=filled).headers["Location"]]
    # The second click may come with the cart, or after the first has emptied it.
    places.append(browser.post("/checkout", data=filled).headers["Location"])
    browser.cookies.update(cookies)
    places.append(browser.post("/checkout", data=filled).headers["Location"])
    assert len(set(places)) == 1
    assert rows(store.database)["order"] == before + 1


def test_a_form_used_up_orders_nothing_else(browser: httpx.Client, store: StoreProcess) -> None:
    act(browser, "/cart", sku="press-pot")
    used = form(look(browser, "/"))
    browser.post("/checkout", data=used)
    act(browser, "/cart", sku="desk-mug")
    before = rows(store.database)
    page = act(browser, "/checkout", **{**used, "seen": "desk-mug:1"})
    assert page.status == 422
    assert "has made order" in page.words
    assert page.field("checkout_key")["value"] != used["checkout_key"]
    assert rows(store.database) == before


def test_what_was_not_seen_is_not_ordered(browser: httpx.Client, store: StoreProcess) -> None:
    act(browser, "/cart", sku="press-pot")
    filled = form(look(browser, "/"))
    act(browser, "/cart", sku="desk-mug")
    before = rows(store.database)
    page = act(browser, "/checkout", **filled)
    assert (page.status, "Your cart has changed" in page.words) == (422, True)
    assert rows(store.database) == before


def test_a_refused_form_keeps_its_values_and_names_its_faults(
    browser: httpx.Client, store: StoreProcess
) -> None:
    act(browser, "/cart", sku="press-pot")
    before = rows(store.database)
    page = act(browser, "/checkout", **form(look(browser, "/"), name="", email="nobody"))
    assert page.status == 422
    assert page.field("email")["value"] == "nobody"
    assert page.field("email")["aria-invalid"] == "true"
    assert page.field("email")["aria-describedby"].strip() == "email-fault"
    assert {"href": "#name"} in page.all("a")
    assert next(box for box in page.all("div") if "autofocus" in box)["role"] == "alert"
    assert rows(store.database) == before


def test_an_empty_cart_orders_nothing(browser: httpx.Client, store: StoreProcess) -> None:
    before = rows(store.database)
    page = act(browser, "/checkout", **ADA)
    assert (page.status, "The cart is empty" in page.words) == (422, True)
    assert rows(store.database) == before


@pytest.mark.parametrize("cookie", ["no-such-thing:1", "press-pot:5000", "press-pot:0"])
def test_a_forged_cart_orders_nothing(
    browser: httpx.Client, store: StoreProcess, cookie: str
) -> None:
    browser.cookies.set("cart", cookie)
    before = rows(store.database)
    assert act(browser, "/checkout", **ADA).status == 422
    assert look(browser, "/").status == 200
    assert rows(store.database) == before
