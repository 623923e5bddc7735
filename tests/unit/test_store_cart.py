from decimal import Decimal

import pytest

from checkout_demo.cart import Cart, PricedCart
from checkout_demo.models import Product
from checkout_demo.sample_jobs import SAMPLE_JOBS

PRESS_POT = Product(sku="press-pot", name="Press Pot", price=Decimal("42.00"))


def test_a_cart_survives_its_cookie() -> None:
    cart = Cart().with_quantity("press-pot", 2).with_quantity("desk-mug", 1)
    assert str(cart) == "press-pot:2.desk-mug:1"
    assert Cart.parse(str(cart)) == cart


@pytest.mark.parametrize(
    "cookie",
    [None, "", ".", ":", "press-pot", "press-pot:", ":1", "press-pot:-1", "A:1", "a:1;b:2"],
)
def test_nonsense_in_the_cookie_is_an_empty_cart(cookie: str | None) -> None:
    assert not Cart.parse(cookie)


def test_a_cookie_cannot_hold_more_than_fifty_lines() -> None:
    cookie = ".".join(f"sku-{number}:1" for number in range(1000))
    assert len(Cart.parse(cookie).pieces) == 50


def test_no_pieces_are_no_line() -> None:
    assert Cart.parse("press-pot:2").with_quantity("press-pot", 0) == Cart()
    assert Cart().with_quantity("press-pot", 0) == Cart()


def test_what_is_not_sold_any_more_stays_visible_and_costs_nothing() -> None:
    priced = PricedCart.price(Cart.parse("gone:3.press-pot:2"), [PRESS_POT])
    assert [(line.sku, line.product) for line in priced] == [
        ("gone", None),
        ("press-pot", PRESS_POT),
    ]
    assert priced.total == Decimal("84.00")
    assert priced.count == 5


@pytest.mark.parametrize("task", SAMPLE_JOBS)
def test_an_empty_form_of_a_sample_job_has_a_fault_for_each_field(task: str) -> None:
    data, faults = SAMPLE_JOBS[task].read({})
    assert data == {}
    assert [fault.field for fault in faults] == [field.name for field in SAMPLE_JOBS[task].fields]


@pytest.mark.parametrize("wait", ["-1", "61", "1.5", "x", "1e1", "٣", "9" * 5000])
def test_a_wait_is_a_whole_number_up_to_a_minute(wait: str) -> None:
    form = {"payload": "hello", "wait_at_most": wait}
    _, faults = SAMPLE_JOBS["work.test_job"].read(form)
    assert [fault.field for fault in faults] == ["wait_at_most"]


def test_a_good_form_is_the_jobs_data() -> None:
    form = {"payload": " hello ", "wait_at_most": "3", "task": "work.test_job", "more": "x"}
    assert SAMPLE_JOBS["work.test_job"].read(form) == ({"payload": "hello", "wait_at_most": 3}, [])
