"""The steps that most tests of the store begin with."""

import sqlite3
from contextlib import closing

from tests.browser.visitor import Visitor
from tests.support.demo import Demo

SLOW = 1_000
"""Milliseconds that a slowed ERP waits: a page that opens meanwhile shows unfinished jobs."""


def put_in_cart(visitor: Visitor, sku: str) -> None:
    """Click a product's button, and wait until the cart has one piece more."""
    before = pieces(visitor)
    visitor.click(f'[id="{sku}"] button')
    visitor.wait_for(lambda: pieces(visitor) == before + 1, f"one more piece than {before}")


def change_quantity(visitor: Visitor, sku: str, quantity: int) -> None:
    """Write another number of pieces into the cart, and wait until the cart has it."""
    field = f"#quantity-{sku}"
    others = pieces(visitor) - int(visitor.value(field))
    visitor.write(field, f"{quantity}\n")
    visitor.wait_for(lambda: pieces(visitor) == others + quantity, f"{quantity} of {sku}")


def pieces(visitor: Visitor) -> int:
    """Return how many pieces the page's head says there are in the cart."""
    return int(visitor.text(".cart-chip .count"))


def fill_in(visitor: Visitor, email: str, name: str = "Ada Lovelace") -> None:
    """Fill the checkout form."""
    visitor.write("#name", name)
    visitor.write("#email", email)


def place_order(visitor: Visitor, email: str, name: str = "Ada Lovelace") -> None:
    """Fill the checkout form, send it, and wait for the order's page."""
    fill_in(visitor, email, name)
    visitor.click(".checkout button")
    wait_for_order(visitor)


def wait_for_order(visitor: Visitor) -> None:
    """Wait until the order's page is there."""
    visitor.wait_for(lambda: visitor.path.startswith("/orders/"), "the order's page")


def buy(visitor: Visitor, sku: str, email: str, name: str = "Ada Lovelace") -> None:
    """Buy one piece."""
    visitor.open("/")
    put_in_cart(visitor, sku)
    place_order(visitor, email, name)


def states(visitor: Visitor) -> list[str]:
    """Return the state of each job, as the page says it."""
    return [text.removeprefix("State:").strip() for text in visitor.texts(".job .state")]


def wait_for_states(visitor: Visitor, *wanted: str) -> None:
    """Wait until the page says these states, in this order."""
    visitor.wait_for(lambda: states(visitor) == list(wanted), f"the states {wanted}")


def wait_until_complete(visitor: Visitor) -> None:
    """Wait until the page says that all three jobs of an order are Complete."""
    wait_for_states(visitor, "Complete", "Complete", "Complete")


def orders_of(demo: Demo, email: str) -> int:
    """Count the orders that the store has stored for a customer."""
    with closing(sqlite3.connect(demo.state_dir / "store.db")) as database:
        query = 'SELECT count(*) FROM "order" WHERE customer_email = ?'
        (count,) = database.execute(query, (email,)).fetchone()
    return int(count)
