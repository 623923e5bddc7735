"""Money: exact decimals in Python, in both databases, and on paper."""

from decimal import Decimal
from typing import Any

from sqlalchemy import Dialect, Integer, Numeric, TypeDecorator

CURRENCY = "EUR"
CENT = Decimal("0.01")

# Twelve digits hold any order that the bounds of `order_request.py` let through, many times over.
_DIGITS = 12


class Money(TypeDecorator[Decimal]):
    """An amount with two decimals: NUMERIC on PostgreSQL, whole cents on SQLite.

    SQLite has no decimals, and would keep a NUMERIC as binary floating point.

    Raises:
        ValueError: when an amount to be stored has fractions of a cent.

    """

    impl = Numeric(_DIGITS, 2)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:  # noqa: ANN401 (SQLAlchemy's signature)
        """Choose the column's type for this database."""
        return dialect.type_descriptor(
            Integer() if dialect.name == "sqlite" else Numeric(_DIGITS, 2)
        )

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | int | None:
        """Turn an amount into what the database keeps."""
        if value is None:
            return None
        exact = value.quantize(CENT)
        if exact != value:
            raise ValueError(f"{value} has fractions of a cent; round it before storing it")
        return int(exact.scaleb(2)) if dialect.name == "sqlite" else exact

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ANN401
        """Turn what the database kept into an amount."""
        if value is None:
            return None
        return Decimal(value).scaleb(-2) if dialect.name == "sqlite" else Decimal(value)


def as_text(amount: Decimal) -> str:
    """Write an amount for programs: `18.50`."""
    return f"{amount:.2f}"


def for_people(amount: Decimal) -> str:
    """Write an amount for people: `€1,018.50`."""
    return f"€{amount:,.2f}"
