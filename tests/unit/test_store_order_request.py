import pytest

from checkout_demo.catalogue import CATALOGUE
from checkout_demo.faults import BadOrder
from checkout_demo.order_request import OrderRequest, check
from tests.support.store import ADA, item

SKUS = frozenset(product.sku for product in CATALOGUE)


def good(cart: object, customer: object = ADA, key: str | None = None) -> OrderRequest:
    return check(cart, customer, key, skus=SKUS)


def faults(cart: object, customer: object = ADA, key: str | None = None) -> dict[str, str]:
    with pytest.raises(BadOrder) as refused:
        check(cart, customer, key, skus=SKUS)
    return {fault.field: fault.message for fault in refused.value.faults}


def test_one_sku_on_several_lines_is_one_line() -> None:
    request = good([item("press-pot", 2), item("desk-mug"), item("press-pot", 3)])
    assert [(line.sku, line.quantity) for line in request.items] == [
        ("press-pot", 5),
        ("desk-mug", 1),
    ]


def test_each_fault_is_a_sentence_for_people() -> None:
    found = faults([item("no-such-thing", 1000)], {"email": "ada"}, "")
    assert found == {
        "customer.name": "This is missing.",
        "customer.email": "An email address must have an @-sign.",
        "items.0.sku": "There is no product 'no-such-thing'. GET /api/products lists them.",
        "items.0.quantity": "The quantity must be a whole number from 1 to 99.",
        "Idempotency-Key": "Send 1 to 200 visible ASCII characters, or none at all.",
    }


def test_the_fingerprint_is_of_what_was_asked_for_alone() -> None:
    cart = [item("press-pot"), item("desk-mug", 2)]
    same = [item("desk-mug"), item("press-pot"), item("desk-mug")]
    assert good(cart).fingerprint == good(same, {**ADA, "name": " Ada  Lovelace"}).fingerprint
    assert good(cart).fingerprint != good(cart[:1]).fingerprint
    assert good(cart).fingerprint != good(cart, {**ADA, "name": "Eve"}).fingerprint


@pytest.mark.parametrize(
    "quantity", [0, -1, 100, 1.0, 1.5, "1", True, None, [], float("nan")], ids=repr
)
def test_a_quantity_is_a_whole_number_from_1_to_99(quantity: object) -> None:
    assert set(faults([item("press-pot", quantity)], ADA)) == {"items.0.quantity"}


@pytest.mark.parametrize(
    "sku", ["", "PRESS-POT", "no-such-thing", None, 1, ["press-pot"], "\ud800"]
)
def test_a_sku_is_one_that_is_sold(sku: object) -> None:
    assert set(faults([{"sku": sku, "quantity": 1}], ADA)) == {"items.0.sku"}


@pytest.mark.parametrize("cart", [None, [], {}, "press-pot", 1, [item("press-pot")] * 51])
def test_a_cart_is_a_list_of_1_to_50_lines(cart: object) -> None:
    assert set(faults(cart, ADA)) == {"items"}


def test_the_bounds_hold_for_lines_together() -> None:
    assert set(faults([item("press-pot", 50), item("press-pot", 50)], ADA)) == {"items"}


@pytest.mark.parametrize(
    "email",
    [
        *("", "ada", "ada@", "@example.com", "a@b", "ada@example..com", "a b@example.com", None, 7),
        "ada@example.com\nBcc: all@example.com",
        "Ada <ada@example.com>",
        "ada@example.com,eve@example.com",
        "ada@" + "x" * 250 + ".com",
        "ad\ud800a@example.com",
    ],
)
def test_an_address_is_one_plain_address(email: object) -> None:
    assert set(faults([item("press-pot")], {**ADA, "email": email})) == {"customer.email"}


@pytest.mark.parametrize("email", ["ada@example.com", "ada@store.test", "a+b@sub.example.org"])
def test_test_domains_are_good_addresses(email: str) -> None:
    placed = good([item("press-pot")], {**ADA, "email": email})
    assert placed.customer.email == email


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\0b", "half \ud800", None, 7, ["Ada"]])
def test_a_name_can_be_read_and_written(name: object) -> None:
    assert set(faults([item("press-pot")], {**ADA, "name": name})) == {"customer.name"}


def test_white_space_in_a_name_cannot_break_a_header() -> None:
    customer = {**ADA, "name": "  Ada\r\nBcc: all@example.com "}
    placed = good([item("press-pot")], customer)
    assert placed.customer.name == "Ada Bcc: all@example.com"


@pytest.mark.parametrize("customer", [None, "Ada", [], {}])
def test_a_customer_has_a_name_and_an_address(customer: object) -> None:
    found = set(faults([item("press-pot")], customer))
    assert found in ({"customer"}, {"customer.name", "customer.email"})


@pytest.mark.parametrize("key", ["", "x" * 201, "naïve", "new\nline", "\0"])
def test_a_key_is_short_and_visible(key: str) -> None:
    assert set(faults([item("press-pot")], ADA, key)) == {"Idempotency-Key"}
