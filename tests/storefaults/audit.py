"""What was ordered, against what the ERP and the mail server have: the count at the end."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

import httpx
from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from checkout_demo.effects.receipt import message_id
from checkout_demo.models import EffectKind, Order
from checkout_demo.sandbox.inbox import received
from tasks.outbox import OutboxRow
from tests.storefaults.world import STOCK, World

BETWEEN = "web between commit and publish"


@dataclass
class Figures:
    """The count. What must be 0 says so."""

    faults: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    """Orders whose customer was told that they are placed."""
    orders: int = 0
    """Orders in the database; a customer may not have heard of one, if the server died over it."""
    refused: int = 0
    cut_off: int = 0
    unknown: int = 0
    """Answered orders that are not in the database: must be 0."""
    without_sale: int = 0
    """Orders without their sale: must be 0."""
    sold_twice: int = 0
    """Orders with more than one sale: must be 0."""
    without_mail: int = 0
    """Orders without their mail: must be 0."""
    mailed_twice: int = 0
    """Orders whose mail came again, with the same Message-ID: the one window that is documented."""
    pieces_off: int = 0
    """Pieces by which the ERP's stock differs from what was sold: must be 0."""
    phantoms: int = 0
    """Sales and mails of orders that the database does not have: must be 0."""
    begun: int = 0
    """How often a body was begun."""
    concurrent: int = 0
    """How often one was begun while another run of the same job was not over: must be 0."""
    given_up: int = 0
    """Jobs that ended as failed and were run anew by hand."""
    odd: list[str] = field(default_factory=list)
    """Answers that no customer should get: must be none."""
    recoveries: list[tuple[float, str]] = field(default_factory=list)
    """Seconds from each healed fault until all that was ordered before was done, and which."""

    @property
    def others(self) -> int:
        """How many faults there were beside the kills between commit and publish."""
        return self.faults.total() - self.faults[BETWEEN]

    @property
    def lost(self) -> int:
        """Sales and mails that are missing, and answered orders that the database has not."""
        return self.without_sale + self.without_mail + self.unknown

    def wrong(self, longest: float | None = None) -> dict[str, object]:
        """Return every figure that must be 0 and is not; times too, if there is a limit."""
        names = ("unknown", "without_sale", "sold_twice", "without_mail", "pieces_off")
        found: dict[str, object] = {n: getattr(self, n) for n in (*names, "phantoms", "concurrent")}
        found["odd"] = self.odd
        if longest is not None:
            found["slow"] = [slow for slow in self.recoveries if slow[0] > longest]
        return {name: value for name, value in found.items() if value}

    def recovery(self) -> str:
        """Return median and maximum of the recoveries, for a table."""
        seconds = [taken for taken, _ in self.recoveries]
        return f"{median(seconds):.1f} / {max(seconds):.1f}" if seconds else "-"


def count(world: World, figures: Figures, answered: Mapping[str, str]) -> None:
    """Compare what was ordered with what has come of it."""
    orders = _orders(world)
    figures.answered, figures.orders = len(set(answered.values())), len(orders)
    figures.unknown = len(set(answered.values()) - {order.id for order in orders})
    _count_sales(world, figures, orders)
    _count_stock(world, figures, orders)
    _count_mails(world, figures, orders)
    _count_runs(world, figures)


def unfinished(world: World, before: datetime | None = None) -> int:
    """Return how many jobs that were enqueued before this moment are not finished."""
    moment = before or datetime.max.replace(tzinfo=UTC)
    where = OutboxRow.finished_at.is_(None) & (OutboxRow.created_at <= moment)
    with world.database.reading() as session:
        return session.scalar(select(func.count()).select_from(OutboxRow).where(where)) or 0


def failed(world: World) -> Sequence[str]:
    """Return the ids of the jobs that ended as failed."""
    with world.database.reading() as session:
        return list(session.scalars(select(OutboxRow.id).where(OutboxRow.outcome == "failed")))


def _orders(world: World) -> Sequence[Order]:
    with world.database.reading() as session:
        whole = (selectinload(Order.lines), selectinload(Order.effects))
        return list(session.scalars(select(Order).options(*whole)))


def _count_sales(world: World, figures: Figures, orders: Sequence[Order]) -> None:
    sales = Counter(sale["order_id"] for sale in _ask(world, "sales"))
    figures.without_sale = sum(not sales[order.id] for order in orders)
    figures.sold_twice = sum(sales[order.id] > 1 for order in orders)
    figures.phantoms += len(set(sales) - {order.id for order in orders})


def _count_stock(world: World, figures: Figures, orders: Sequence[Order]) -> None:
    sold: Counter[str] = Counter()
    for order in orders:
        sold.update({line.sku: line.quantity for line in order.lines})
    left = {row["sku"]: row["quantity"] for row in _ask(world, "inventory")}
    figures.pieces_off = sum(abs(STOCK - left[sku] - sold[sku]) for sku in left)


def _count_mails(world: World, figures: Figures, orders: Sequence[Order]) -> None:
    mails = Counter(mail.message_id for mail in received(world.mail_dir))
    wanted = {message_id(_key(order)) for order in orders}
    figures.without_mail = sum(not mails[name] for name in wanted)
    figures.mailed_twice = sum(mails[name] > 1 for name in wanted)
    figures.phantoms += len(set(mails) - wanted)


def _key(order: Order) -> str:
    (key,) = (effect.job_id for effect in order.effects if effect.kind == EffectKind.RECEIPT)
    return str(key)


def _count_runs(world: World, figures: Figures) -> None:
    lines = world.book.read_text().splitlines() if world.book.exists() else []
    what = Counter(line.split()[0] for line in lines)
    figures.begun, figures.concurrent = what["begin"], what["concurrent"]


def _ask(world: World, what: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{world.erp_url}/{what}", trust_env=False, timeout=60)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()
    return found
