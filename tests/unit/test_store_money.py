from decimal import Decimal

import pytest
from sqlalchemy import Dialect
from sqlalchemy.dialects import postgresql, sqlite

from checkout_demo.money import Money, as_text, for_people

SQLITE: Dialect = sqlite.dialect()
POSTGRESQL: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own


@pytest.mark.parametrize("amount", ["0.01", "18.50", "0.10", "1234567890.99"])
def test_an_amount_comes_back_as_it_was_stored(amount: str) -> None:
    money, value = Money(), Decimal(amount)
    stored = money.process_bind_param(value, SQLITE)
    assert isinstance(stored, int)
    assert str(money.process_result_value(stored, SQLITE)) == amount
    assert money.process_bind_param(value, POSTGRESQL) == value


def test_fractions_of_a_cent_are_never_rounded_in_silence() -> None:
    with pytest.raises(ValueError, match="fractions of a cent"):
        Money().process_bind_param(Decimal("0.005"), SQLITE)


def test_no_amount_stays_none() -> None:
    assert Money().process_bind_param(None, SQLITE) is None
    assert Money().process_result_value(None, POSTGRESQL) is None


def test_programs_and_people_read_amounts_differently() -> None:
    assert as_text(Decimal("1018.5")) == "1018.50"
    assert for_people(Decimal("1018.5")) == "€1,018.50"
