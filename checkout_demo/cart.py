"""The cart: what a visitor has picked, kept in a cookie of the visitor's own.

It is not checked here: a cookie can hold anything, and `place_order` names whatever is wrong.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from checkout_demo.models import Product
from checkout_demo.order_request import MOST_LINES

COOKIE = "cart"
COOKIE_SECONDS = 30 * 86_400

_LINE = re.compile(r"([a-z0-9-]{1,40}):([0-9]{1,4})")


@dataclass(frozen=True)
class Cart:
    """Products and how many of each: `press-pot:1.house-beans:2` as a cookie."""

    pieces: tuple[tuple[str, int], ...] = ()

    @classmethod
    def parse(cls, cookie: str | None) -> "Cart":
        """Read a cookie. What is not a line is dropped, and so is whatever comes after 50 lines."""
        found = (_LINE.fullmatch(part) for part in (cookie or "").split("."))
        pieces = {match[1]: int(match[2]) for match in found if match}
        return cls(tuple(pieces.items())[:MOST_LINES])

    def __str__(self) -> str:
        return ".".join(f"{sku}:{quantity}" for sku, quantity in self.pieces)

    def __bool__(self) -> bool:
        return bool(self.pieces)

    def quantity(self, sku: str) -> int:
        """Return how many of the product are in the cart."""
        return dict(self.pieces).get(sku, 0)

    def with_quantity(self, sku: str, quantity: int) -> "Cart":
        """Return a cart with that many of the product; none at all for 0."""
        pieces = {**dict(self.pieces), sku: quantity}
        return Cart(tuple((sku, n) for sku, n in pieces.items() if n > 0))

    def as_items(self) -> list[dict[str, Any]]:
        """Return the cart as `place_order` takes it."""
        return [{"sku": sku, "quantity": quantity} for sku, quantity in self.pieces]


@dataclass(frozen=True)
class CartLine:
    """A line of the cart as the page shows it. `product` is None for what is not sold any more."""

    sku: str
    quantity: int
    product: Product | None

    @property
    def total(self) -> Decimal:
        """The line's price."""
        return self.product.price * self.quantity if self.product else Decimal(0)


@dataclass(frozen=True)
class PricedCart:
    """The cart with products and prices."""

    lines: tuple[CartLine, ...]

    @classmethod
    def price(cls, cart: Cart, products: list[Product]) -> "PricedCart":
        """Look the products of a cart up."""
        sold = {product.sku: product for product in products}
        return cls(tuple(CartLine(sku, n, sold.get(sku)) for sku, n in cart.pieces))

    def __iter__(self) -> Iterator[CartLine]:
        return iter(self.lines)

    @property
    def total(self) -> Decimal:
        """The price of everything that is sold."""
        return sum((line.total for line in self.lines), start=Decimal(0))

    @property
    def count(self) -> int:
        """How many pieces are in the cart."""
        return sum(line.quantity for line in self.lines)
