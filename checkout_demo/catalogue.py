"""What the store sells. This file is the truth; the `product` table follows it at every start."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Dialect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from checkout_demo import models
from checkout_demo.database import Database

SHOP = "Slow Press"
"""The store's name."""


@dataclass(frozen=True)
class Product:
    """Something the store sells. `price` in euros, `picture` a file below `static/`."""

    sku: str
    name: str
    price: Decimal
    description: str
    picture: str


def _product(sku: str, name: str, price: str, description: str) -> Product:
    return Product(sku, name, Decimal(price), description, f"products/{sku}.svg")


CATALOGUE: tuple[Product, ...] = (
    _product(
        "press-pot",
        "Press Pot",
        "42.00",
        "Three cups, four minutes, one lever. The pot that gave the shop its name.",
    ),
    _product(
        "house-beans",
        "House Beans",
        "11.50",
        "A round, nutty roast for the first page of the day. 250 g, whole beans.",
    ),
    _product(
        "slow-dripper",
        "Slow Dripper",
        "29.00",
        "Stoneware cone with a spiral inside. It will not be hurried, and neither should you.",
    ),
    _product(
        "desk-mug",
        "Desk Mug",
        "16.00",
        "Enamelled steel, 350 ml. Survives a fall from any desk, and every keyboard near it.",
    ),
    _product(
        "morning-ledger",
        "Morning Ledger",
        "18.50",
        "192 dotted pages that lie flat from the first to the last. Thread-sewn, cloth spine.",
    ),
    _product(
        "cedar-pencils",
        "Cedar Pencils",
        "12.00",
        "Twelve pencils in HB, 2B and 4B. They smell of the workshop when sharpened.",
    ),
    _product(
        "brass-pen",
        "Brass Dip Pen",
        "24.00",
        "A turned brass holder and three nibs, from hairline to flourish.",
    ),
    _product(
        "midnight-ink",
        "Midnight Ink",
        "16.90",
        "Blue-black, 50 ml. Goes on like the evening sky and dries like the night.",
    ),
    _product(
        "letter-set",
        "Letter Set",
        "15.50",
        "Twenty sheets, ten envelopes, no notifications.",
    ),
    _product(
        "wax-and-seal",
        "Wax & Seal",
        "19.00",
        "Two sticks of coral wax and a brass seal. For letters that deserve a little drama.",
    ),
    _product(
        "wall-calendar",
        "Wall Calendar 2027",
        "22.00",
        "Twelve months printed in two inks on 200 g paper. Each sheet is a poster afterwards.",
    ),
    _product(
        "paper-filters",
        "Paper Filters",
        "6.40",
        "A hundred unbleached filters for the Slow Dripper. Compostable, like all good paper.",
    ),
)


def seed(database: Database) -> None:
    """Store every product of the catalogue, with its newest name, price, text and picture."""
    with database.writing() as session:
        for product in CATALOGUE:
            _store(session, product)


def in_stock(session: Session) -> list[models.Product]:
    """Return all products, in the catalogue's order; others after them, by name."""
    places = {product.sku: place for place, product in enumerate(CATALOGUE)}
    products = session.scalars(select(models.Product).order_by(models.Product.name))
    return sorted(products, key=lambda product: places.get(product.sku, len(places)))


def _store(session: Session, product: Product) -> None:
    values = asdict(product)
    statement = _insert(session.get_bind().dialect)(models.Product).values(values)
    changes = {name: statement.excluded[name] for name in values if name != "sku"}
    session.execute(statement.on_conflict_do_update(index_elements=["sku"], set_=changes))


def _insert(dialect: Dialect) -> Callable[[type[models.Product]], Any]:
    # Both databases spell "insert or update" alike, but SQLAlchemy has one function for each.
    return postgresql.insert if dialect.name == "postgresql" else sqlite.insert
