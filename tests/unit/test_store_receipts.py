from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser

from checkout_demo.models import Order, OrderProduct
from checkout_demo.receipts import look_on_page, render_receipt
from checkout_demo.templating import TEMPLATES

LINK = "https://store.example.com/orders/an-id"


def order(name: str = "Ada Lovelace") -> Order:
    lines = [
        OrderProduct(sku="press-pot", name="Press Pot", unit_price=Decimal("42.00"), quantity=1),
        OrderProduct(sku="wax", name="Wax & Seal", unit_price=Decimal("19.00"), quantity=2),
    ]
    return Order(
        number="ABCD-2345",
        customer_name=name,
        customer_email="ada@example.com",
        currency="EUR",
        total=Decimal("80.00"),
        created_at=datetime(2026, 11, 23, 18, 59, tzinfo=UTC),
        lines=lines,
    )


class Words(HTMLParser):
    """All that a reader sees, and every element without a style of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words += data.split()


def words(html: str) -> str:
    parser = Words()
    parser.feed(html)
    return " ".join(parser.words)


def test_html_and_text_say_the_same() -> None:
    receipt = render_receipt(order(), link=LINK)
    for fact in ("ABCD-2345", "23 November 2026, 18:59 UTC", "Ada Lovelace", "ada@example.com"):
        assert fact in words(receipt.html)
        assert fact in receipt.text
    for amount in ("€42.00", "€38.00", "€80.00"):
        assert amount in words(receipt.html)
        assert amount in receipt.text
    assert LINK in receipt.html
    assert LINK in receipt.text


def test_the_page_shows_the_receipt_that_the_mail_holds() -> None:
    template = TEMPLATES.get_template("parts/receipt.html")
    on_page = words(template.render(order=order(), look=look_on_page))
    assert on_page in words(render_receipt(order(), link=LINK).html)


def test_a_mail_carries_its_styles_and_a_page_none() -> None:
    assert "class=" not in render_receipt(order(), link=LINK).html
    template = TEMPLATES.get_template("parts/receipt.html")
    assert "style=" not in template.render(order=order(), look=look_on_page)


def test_a_name_is_text_and_never_html() -> None:
    receipt = render_receipt(order("<script>alert(1)</script>"), link=LINK)
    assert "<script>" not in receipt.html
    assert "&lt;script&gt;" in receipt.html
    assert "<script>" in receipt.text


def test_the_text_escapes_nothing() -> None:
    assert "Wax & Seal" in render_receipt(order(), link=LINK).text
