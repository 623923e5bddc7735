import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from uuid import UUID

import pytest
from sqlalchemy import text

from checkout_demo import checkout, publishing
from checkout_demo.checkout import PlacedOrder, place_order
from checkout_demo.database import Database
from checkout_demo.faults import BadOrder, KeyReused
from checkout_demo.models import EffectKind, Order
from checkout_demo.orders import OrderNotFound, find_order
from tasks.errors import Unreachable
from tests.support.store import ADA, NOTHING, item, rows, store_in


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with store_in(tmp_path) as prepared:
        yield prepared


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """The orders whose jobs were published, without a broker."""
    orders: list[Order] = []
    monkeypatch.setattr(checkout, "publish", orders.append)
    return orders


def test_an_order_its_lines_and_its_effects_are_one_commit(
    database: Database, published: list[Order]
) -> None:
    placed = place_order(database, [item("press-pot"), item("desk-mug", 3)], ADA)
    stored = find_order(database, placed.order.id)
    assert placed.is_new
    assert [(line.sku, line.quantity, line.unit_price) for line in stored.lines] == [
        ("press-pot", 1, Decimal("42.00")),
        ("desk-mug", 3, Decimal("16.00")),
    ]
    assert stored.total == Decimal("90.00")
    assert [effect.kind for effect in stored.effects] == list(EffectKind)
    assert published == [placed.order]


def test_jobs_are_published_with_the_ids_that_the_commit_stored(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduled: list[tuple[str, Any, str]] = []

    def schedule(name: str, data: Any, *, job_id: str) -> str:  # noqa: ANN401 (any data)
        # Another connection sees the order already: the commit comes first.
        find_order(database, data["order_id"])
        scheduled.append((name, data, job_id))
        return job_id

    monkeypatch.setattr(checkout, "publish", publishing.publish)
    monkeypatch.setattr(publishing, "schedule", schedule)
    order = place_order(database, [item("press-pot")], ADA).order
    data = {"order_id": order.id}
    assert scheduled == [(e.kind.task, data, e.job_id) for e in order.effects]
    assert len({UUID(job_id) for *_, job_id in scheduled}) == len(scheduled) == 3


def test_totals_are_exact(database: Database) -> None:
    cart = [item("midnight-ink", 99), item("paper-filters", 97), item("house-beans", 3)]
    total = place_order(database, cart, ADA).order.total
    assert total == Decimal("16.90") * 99 + Decimal("6.40") * 97 + Decimal("11.50") * 3
    assert str(total) == "2328.40"


def test_the_price_is_that_of_the_moment(database: Database) -> None:
    order = place_order(database, [item("press-pot")], ADA).order
    with database.writing() as session:
        session.execute(text("UPDATE product SET price = 1, name = 'Renamed'"))
    (line,) = find_order(database, order.id).lines
    assert (line.name, line.unit_price) == ("Press Pot", Decimal("42.00"))


def test_every_fault_is_named_at_once_and_nothing_is_stored(
    database: Database, published: list[Order]
) -> None:
    cart = [item("no-such-thing"), item("press-pot", -1), item("desk-mug", 10**30), {}, 7]
    customer = {"name": " ", "email": "nobody"}
    with pytest.raises(BadOrder) as refused:
        place_order(database, cart, customer, "")
    assert {fault.field for fault in refused.value.faults} == {
        "Idempotency-Key",
        "customer.email",
        "customer.name",
        "items.0.sku",
        "items.1.quantity",
        "items.2.quantity",
        "items.3.quantity",
        "items.3.sku",
        "items.4",
    }
    assert rows(database) == NOTHING
    assert published == []


def test_a_repeated_key_is_the_same_order(database: Database, published: list[Order]) -> None:
    cart = [item("press-pot"), item("desk-mug")]
    first = place_order(database, cart, ADA, "key-1")
    # The order of the lines and a stray space are not what was asked for.
    again = place_order(database, cart[::-1], {**ADA, "name": "Ada  Lovelace"}, "key-1")
    assert (again.order.id, again.is_new) == (first.order.id, False)
    assert [effect.job_id for effect in again.order.effects] == [
        effect.job_id for effect in first.order.effects
    ]
    assert published == [first.order]
    assert rows(database)["order"] == 1


@pytest.mark.parametrize(
    ("cart", "customer"),
    [([item("press-pot", 2)], ADA), ([item("press-pot")], {**ADA, "email": "eve@example.com"})],
)
def test_a_key_is_not_reused_for_another_order(
    database: Database, cart: object, customer: object
) -> None:
    place_order(database, [item("press-pot")], ADA, "key-1")
    with pytest.raises(KeyReused, match="another order"):
        place_order(database, cart, customer, "key-1")
    assert rows(database)["order"] == 1


def test_without_a_key_two_requests_are_two_orders(database: Database) -> None:
    ids = {place_order(database, [item("press-pot")], ADA).order.id for _ in range(2)}
    assert len(ids) == rows(database)["order"] == 2


def test_one_key_in_eight_threads_makes_one_order(
    database: Database, published: list[Order]
) -> None:
    start = threading.Barrier(8, timeout=30)
    placed: list[PlacedOrder] = []

    def click() -> None:
        start.wait()
        placed.append(place_order(database, [item("press-pot")], ADA, "one-key"))

    threads = [threading.Thread(target=click) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(placed) == 8
    assert len({each.order.id for each in placed}) == 1
    assert [each.is_new for each in placed].count(True) == 1
    assert rows(database) == {"order": 1, "order_product": 1, "order_effect": 3}
    assert len(published) == 1


def test_a_broker_that_is_away_does_not_stop_an_order(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[str] = []

    def schedule(name: str, *_: object, **__: object) -> str:
        attempts.append(name)
        raise Unreachable("refused", "try again")

    log = Mock()
    monkeypatch.setattr(checkout, "publish", publishing.publish)
    monkeypatch.setattr(publishing, "schedule", schedule)
    monkeypatch.setattr(publishing, "_logger", log)
    order = place_order(database, [item("press-pot")], ADA).order
    assert find_order(database, order.id).total == Decimal("42.00")
    missing = [kind.task for kind in EffectKind]
    log.error.assert_called_once_with(
        "jobs not published", order_id=order.id, tasks=missing, reason="refused"
    )
    # One wait was enough.
    assert attempts == ["orders.send_receipt"]


def test_an_order_that_is_not_there_is_named(database: Database) -> None:
    with pytest.raises(OrderNotFound, match="no-such-id"):
        find_order(database, "no-such-id")
