"""Products and orders, for programs."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.responses import JSONResponse, Response

from checkout_demo.catalogue import in_stock
from checkout_demo.checkout import place_order
from checkout_demo.faults import KEY_FIELD, Fault
from checkout_demo.inline import EffectFailed
from checkout_demo.models import Order
from checkout_demo.money import as_text
from checkout_demo.order_request import OrderRequest
from checkout_demo.views.schemas import OrderBody, ProductBody, body_of
from checkout_demo.web.errors import faults_answer
from checkout_demo.web.reading import JsonObject
from checkout_demo.web.store import TheStore

router = APIRouter(prefix="/api", tags=["orders"])

Key = Annotated[str | None, Header(alias=KEY_FIELD)]


@router.get("/products", response_model=list[ProductBody])
def products(store: TheStore) -> Response:
    """List everything that the store sells."""
    with store.database.reading() as session:
        found = in_stock(session)
    return JSONResponse([{"sku": p.sku, "name": p.name, "price": as_text(p.price)} for p in found])


@router.post(
    "/orders",
    status_code=201,
    response_model=OrderBody,
    responses={200: {"model": OrderBody}, 422: {}, 502: {}},
    openapi_extra=body_of(OrderRequest),
)
def order(request: Request, store: TheStore, body: JsonObject, key: Key = None) -> Response:
    """Place an order: 201. The same `Idempotency-Key` again: the same order, 200."""
    mode = store.settings.checkout_mode
    cart, customer = body.get("items"), body.get("customer")
    try:
        placed = place_order(store.database, cart, customer, key, mode=mode)
    except EffectFailed as error:
        failed = [Fault(kind, str(reason)) for kind, reason in error.failures.items()]
        return faults_answer(failed, 502, order_id=error.order.id, url=_url(request, error.order))
    return JSONResponse(
        _as_json(request, placed.order),
        201 if placed.is_new else 200,
        headers={"Location": _url(request, placed.order)},
    )


def _as_json(request: Request, placed: Order) -> dict[str, Any]:
    return {
        "order_id": placed.id,
        "total": as_text(placed.total),
        "currency": placed.currency,
        "url": _url(request, placed),
        "jobs": [
            {
                "job_id": effect.job_id,
                "task": effect.kind.task,
                "status_url": str(request.url_for("job_status", job_id=effect.job_id)),
            }
            for effect in placed.effects
        ],
    }


def _url(request: Request, placed: Order) -> str:
    return str(request.url_for("order_page", order_id=placed.id))
