"""The store's three jobs. Each finds its order, does one effect and returns what came of it.

That the effect is done and that its job is done are one commit. A worker that dies before it
leaves the job to another one, which does the effect again, with the same key: see `fulfilment.py`.
"""

from typing import Any

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from checkout_demo.database import hold_outbox, store_database
from checkout_demo.effects.errors import MayPass
from checkout_demo.fulfilment import Data, fulfil
from checkout_demo.ledger import record
from checkout_demo.models import EffectKind
from checkout_demo.orders import find_order
from tasks import outbox
from tasks.celery import app
from tasks.job import Job

# Workers and relays come by here; each process makes its engine when it needs it.
hold_outbox(store_database)

# An ERP that is down for an hour delays its jobs and fails none: full jitter makes the mean wait
# half of the longest one, and 1500 * 5 s are two hours. And ten seconds after it is back, all is
# done.
_LONGEST_WAIT = 10
_RETRIES = 1500

_PATIENT: dict[str, Any] = {
    "base": Job,
    "bind": True,
    # A database that is locked or away fails before the effect, and so does a worker whose
    # connections are all in use; they may pass as well.
    "autoretry_for": (MayPass, OperationalError, PoolTimeout),
    "max_retries": _RETRIES,
    "retry_backoff_max": _LONGEST_WAIT,
}


@app.task(name="orders.send_receipt", **_PATIENT)
def send_receipt(self: Job, order_id: str) -> Data:
    """Mail the receipt to the customer: `{"message_id": str}`."""
    return _do(self, order_id, EffectKind.RECEIPT)


@app.task(name="orders.record_sale", **_PATIENT)
def record_sale(self: Job, order_id: str) -> Data:
    """Record the sale in the ERP: `{"sale_id": ...}`."""
    return _do(self, order_id, EffectKind.SALE)


@app.task(name="orders.decrease_inventory", **_PATIENT)
def decrease_inventory(self: Job, order_id: str) -> Data:
    """Take what was sold from the ERP's stock: `{"inventory": {sku: pieces left}}`."""
    return _do(self, order_id, EffectKind.INVENTORY)


def _do(job: Job, order_id: str, kind: EffectKind) -> Data:
    order = find_order(store_database(), order_id)
    response = fulfil(order, kind)
    with outbox.finishing(job, response) as session:
        record(session, order, kind, response)
    return response
