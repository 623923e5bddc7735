import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from kombu.utils.json import loads
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from checkout_demo import checkout
from checkout_demo.checkout import PlacedOrder, place_order
from checkout_demo.database import Database
from checkout_demo.faults import BadOrder, KeyReused
from checkout_demo.models import EffectKind
from checkout_demo.orders import OrderNotFound, find_order
from tasks.outbox import OutboxRow
from tasks.outbox.publisher import publisher
from tasks.outbox.rows import Outgoing
from tests.support.store import ADA, NOTHING, item, rows, store_in


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with store_in(tmp_path) as prepared:
        yield prepared


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> list[Outgoing]:
    """What a thread of the process would publish, without a broker."""
    outgoing: list[Outgoing] = []
    monkeypatch.setattr(publisher, "publish", outgoing.extend)
    return outgoing


def jobs(database: Database) -> list[OutboxRow]:
    with database.reading() as session:
        return list(session.scalars(select(OutboxRow)))


def test_an_order_its_lines_its_effects_and_their_jobs_are_one_commit(
    database: Database, published: list[Outgoing]
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
    assert {job.id for job in jobs(database)} == {effect.job_id for effect in stored.effects}
    assert [job.id for job in published] == [effect.job_id for effect in stored.effects]


def test_a_commit_that_fails_leaves_neither_order_nor_jobs(
    database: Database, published: list[Outgoing]
) -> None:
    with database.writing() as session:
        session.execute(text("ALTER TABLE job_outbox RENAME TO gone"))
    with pytest.raises(OperationalError):
        place_order(database, [item("press-pot")], ADA)
    assert rows(database) == NOTHING
    assert published == []


def test_each_job_carries_the_order_and_the_id_of_its_effect(database: Database) -> None:
    order = place_order(database, [item("press-pot")], ADA).order
    stored = {job.id: (job.task, loads(job.data)) for job in jobs(database)}
    data = {"order_id": order.id}
    assert stored == {e.job_id: (e.kind.task, data) for e in order.effects}
    assert len({UUID(job_id) for job_id in stored}) == 3


def test_inside_the_request_there_are_no_jobs(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkout, "perform", lambda *_: None)
    place_order(database, [item("press-pot")], ADA, mode="inline")
    assert (rows(database)["order"], jobs(database)) == (1, [])


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
    database: Database, published: list[Outgoing]
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


def test_a_repeated_key_is_the_same_order(database: Database, published: list[Outgoing]) -> None:
    cart = [item("press-pot"), item("desk-mug")]
    first = place_order(database, cart, ADA, "key-1")
    # The order of the lines and a stray space are not what was asked for.
    again = place_order(database, cart[::-1], {**ADA, "name": "Ada  Lovelace"}, "key-1")
    assert (again.order.id, again.is_new) == (first.order.id, False)
    assert [effect.job_id for effect in again.order.effects] == [
        effect.job_id for effect in first.order.effects
    ]
    assert len(published) == len(jobs(database)) == 3
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
    database: Database, published: list[Outgoing]
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
    assert len(published) == len(jobs(database)) == 3


def test_an_order_that_is_not_there_is_named(database: Database) -> None:
    with pytest.raises(OrderNotFound, match="no-such-id"):
        find_order(database, "no-such-id")
