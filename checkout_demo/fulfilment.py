"""What follows from an order: the receipt, the sale, the stock. Each may be called again safely.

    fulfil(order, kind)   do one effect, with the key that the order holds for it

The key is the job's id, so a retry, a second delivery and a call by hand all carry the same one.
The ERP does a call once for each key. A mail can come twice, with the same Message-ID, when the
process dies between the mail server's "accepted" and the end of the job.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from checkout_demo.catalogue import SHOP
from checkout_demo.effects import receipt
from checkout_demo.effects.erp import ErpClient, Sale
from checkout_demo.models import EffectKind, Order
from checkout_demo.money import as_text
from checkout_demo.orders import effect_of
from checkout_demo.receipts import render_receipt
from checkout_demo.settings import store_settings

Data = dict[str, Any]
"""Small JSON: what a job of the order returns."""


def fulfil(order: Order, kind: EffectKind) -> Data:
    """Do one effect of the order, and return what came of it.

    `{"message_id": str}`, `{"sale_id": ...}` or `{"inventory": {sku: pieces left}}`.

    Raises:
        MayPass: when it may work later.
        WillNotPass: when it will not.

    """
    return _EFFECTS[kind](order, effect_of(order, kind).job_id)


def _send_receipt(order: Order, key: str) -> Data:
    settings = store_settings()
    rendered = render_receipt(order, link=f"{settings.store}/orders/{order.id}")
    mail = receipt.compose(
        to_name=order.customer_name,
        to_address=order.customer_email,
        subject=f"Your receipt from {SHOP}: order {order.number}",
        html=rendered.html,
        text=rendered.text,
        message_id=receipt.message_id(key),
        sender=settings.mail_from,
        # A retry sends the very same mail.
        now=order.created_at,
    )
    receipt.send(mail, settings.smtp, timeout=settings.smtp_timeout, order_id=order.id)
    return {"message_id": receipt.message_id(key)}


def _record_sale(order: Order, key: str) -> Data:
    answer = _erp().record_sale(_sale(order), key)
    return {"sale_id": answer["sale_id"]}


def _decrease_inventory(order: Order, key: str) -> Data:
    left = {}
    for line in order.lines:
        # One call for each line, so each has its own key.
        answer = _erp().decrease_inventory(line.sku, line.quantity, order.id, f"{key}:{line.sku}")
        left[line.sku] = answer["quantity"]
    return {"inventory": left}


_EFFECTS: Mapping[EffectKind, Callable[[Order, str], Data]] = {
    EffectKind.RECEIPT: _send_receipt,
    EffectKind.SALE: _record_sale,
    EffectKind.INVENTORY: _decrease_inventory,
}


def _sale(order: Order) -> Sale:
    return {
        "order_id": order.id,
        "total": as_text(order.total),
        "currency": order.currency,
        "customer": {"name": order.customer_name, "email": order.customer_email},
        "items": [
            {"sku": line.sku, "quantity": line.quantity, "price": as_text(line.unit_price)}
            for line in order.lines
        ],
    }


@cache
def _erp() -> ErpClient:
    # One for the process, made at the first call: after a worker has forked, not before.
    settings = store_settings()
    return ErpClient(settings.erp, timeout=settings.erp_timeout)
