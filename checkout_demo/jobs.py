"""The store's three jobs. Each finds its order, does one effect and returns what came of it.

At least once: a worker that dies in between leaves the job to another one. What makes the effects
happen once is the key that goes with each of them; see `fulfilment.py`.
"""

from typing import Any

from sqlalchemy.exc import OperationalError

from checkout_demo.database import store_database
from checkout_demo.effects.errors import MayPass
from checkout_demo.fulfilment import fulfil
from checkout_demo.models import EffectKind
from checkout_demo.orders import find_order
from tasks.celery import app
from tasks.job import Job

# An ERP that is down for an hour delays its jobs and fails none: full jitter makes the mean wait
# half of the longest one, and 1500 * 5 s are two hours. And ten seconds after it is back, all is
# done.
_LONGEST_WAIT = 10
_RETRIES = 1500

_PATIENT: dict[str, Any] = {
    "base": Job,
    # A database that is locked or away fails before the effect; it may pass as well.
    "autoretry_for": (MayPass, OperationalError),
    "max_retries": _RETRIES,
    "retry_backoff_max": _LONGEST_WAIT,
}


@app.task(name="orders.send_receipt", **_PATIENT)
def send_receipt(order_id: str) -> dict[str, Any]:
    """Mail the receipt to the customer: `{"message_id": str}`."""
    return fulfil(find_order(store_database(), order_id), EffectKind.RECEIPT)


@app.task(name="orders.record_sale", **_PATIENT)
def record_sale(order_id: str) -> dict[str, Any]:
    """Record the sale in the ERP: `{"sale_id": ...}`."""
    return fulfil(find_order(store_database(), order_id), EffectKind.SALE)


@app.task(name="orders.decrease_inventory", **_PATIENT)
def decrease_inventory(order_id: str) -> dict[str, Any]:
    """Take what was sold from the ERP's stock: `{"inventory": {sku: pieces left}}`."""
    return fulfil(find_order(store_database(), order_id), EffectKind.INVENTORY)
