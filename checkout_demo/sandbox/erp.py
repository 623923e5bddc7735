"""The ERP sandbox: sales and stock behind HTTP, with faults that `PUT /faults` switches on.

    python -m checkout_demo.sandbox.erp

Every POST needs the header `Idempotency-Key`. The same key again does nothing and answers as the
first time did, a refusal included; with another call it is an error (422).
"""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import structlog
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from checkout_demo.catalogue import CATALOGUE
from checkout_demo.sandbox.faults import Faults, Gate
from checkout_demo.sandbox.ledger import Answer, KeyReused, Ledger
from checkout_demo.settings import store_settings
from config.bound import bind, unbind
from config.logging import configure

INITIAL_STOCK: Final = 1_000
"""Pieces of each product that the ERP has when it starts for the first time."""

_LONGEST_KEY = 255
_MOST_PIECES = 1_000_000
_DRAINING = 3
"""Seconds for the calls in progress when it is stopped: the latency of a fault may be a minute."""

_logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Buyer(BaseModel):
    """Who bought."""

    name: str = Field(max_length=500)
    email: str = Field(max_length=500)


Money = Annotated[str, Field(pattern=r"^\d{1,12}(\.\d{1,4})?$")]
Pieces = Annotated[int, Field(ge=1, le=_MOST_PIECES)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Item(BaseModel):
    """One line of an order."""

    sku: Name
    quantity: Pieces
    price: Money


class Sale(BaseModel):
    """An order that was sold."""

    order_id: Name
    total: Money
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    customer: Buyer
    items: list[Item] = Field(min_length=1, max_length=1_000)


class Decrement(BaseModel):
    """Pieces that leave the stock for an order."""

    quantity: Pieces
    order_id: Name


def idempotency_key(value: Annotated[str | None, Header(alias="Idempotency-Key")] = None) -> str:
    """Return the call's key, and refuse the call (400) when it has none."""
    if not value or len(value) > _LONGEST_KEY:
        what = f"send the header Idempotency-Key with 1 to {_LONGEST_KEY} characters"
        raise HTTPException(400, f"{what}, the same for every attempt at the same call")
    return value


Key = Annotated[str, Depends(idempotency_key)]


def create_erp(database: Path, stock: Mapping[str, int]) -> FastAPI:
    """Make the ERP service over this database file, with `stock` for skus it has never had."""
    ledger = Ledger(database, stock)
    # Its pages on the API would load their scripts from a foreign server.
    app = FastAPI(title="ERP sandbox", openapi_url=None)
    _add_gate(app, Gate())
    _add_business(app, ledger)

    @app.get("/sales")
    def sales() -> list[dict[str, Any]]:
        return ledger.sales()

    @app.get("/inventory")
    def inventory() -> list[dict[str, Any]]:
        return ledger.inventory()

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app


def _add_gate(app: FastAPI, gate: Gate) -> None:
    @app.get("/faults")
    async def faults() -> Faults:
        return gate.faults

    @app.put("/faults")
    async def change_faults(wanted: Faults) -> Faults:
        return gate.change(wanted)

    @app.middleware("http")
    async def meet_faults(
        request: Request, proceed: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        if request.method != "POST":
            return await proceed(request)
        request_id = request.headers.get("X-Request-ID", "")[:_LONGEST_KEY]
        tokens = bind({"request_id": request_id} if request_id else {})
        try:
            response = await gate.refusal() or await proceed(request)
            _logger.info("answered", path=request.url.path, status=response.status_code)
            return response
        finally:
            unbind(tokens)


def _add_business(app: FastAPI, ledger: Ledger) -> None:
    @app.post("/sales")
    def record_sale(sale: Sale, key: Key) -> Response:
        call = f"POST /sales {sale.model_dump_json()}"
        return _response(ledger.record_sale(key, call, sale.model_dump()))

    @app.post("/inventory/{sku}/decrements")
    def decrease(sku: str, decrement: Decrement, key: Key) -> Response:
        call = f"POST /inventory/{sku}/decrements {decrement.model_dump_json()}"
        return _response(ledger.decrease(key, call, sku, decrement.quantity))

    @app.exception_handler(KeyReused)
    async def key_reused(_request: Request, _error: Exception) -> Response:
        detail = "this Idempotency-Key came before with another path or body; use a new key"
        return JSONResponse({"detail": detail}, 422)


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, media_type="application/json")


def main() -> None:
    """Serve the ERP sandbox at `ERP_PORT` until SIGTERM or SIGINT."""
    settings = store_settings()
    configure(settings)
    app = create_erp(settings.erp_database, {item.sku: INITIAL_STOCK for item in CATALOGUE})
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=settings.erp_port,
        # One line a call comes from this module, with the id of the request that caused it.
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=_DRAINING,
    )


if __name__ == "__main__":
    main()
