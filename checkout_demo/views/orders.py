"""An order's page: the receipt at once, and the live state of its jobs."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from checkout_demo.inline import EffectFailed, perform
from checkout_demo.job_cards import all_settled, summary
from checkout_demo.ledger import rows_of
from checkout_demo.models import Order
from checkout_demo.order_cards import cards_of
from checkout_demo.orders import find_order
from checkout_demo.receipts import look_on_page
from checkout_demo.views.events import events_of
from checkout_demo.web.pages import page, see_other
from checkout_demo.web.store import TheStore

router = APIRouter(prefix="/orders/{order_id}", include_in_schema=False)


def _found(order_id: str, store: TheStore) -> Order:
    return find_order(store.database, order_id)


TheOrder = Annotated[Order, Depends(_found)]


@router.get("")
def order_page(request: Request, store: TheStore, order: TheOrder) -> Response:
    """Show the receipt, and how the order's jobs stand at this moment."""
    return _render(request, "order.html", store, order)


@router.get("/jobs")
def order_jobs(request: Request, store: TheStore, order: TheOrder) -> Response:
    """Show the jobs alone: the part of the page that changes."""
    return _render(request, "parts/order_jobs.html", store, order)


@router.get("/events", response_class=EventSourceResponse)
async def order_events(order: TheOrder) -> AsyncIterator[ServerSentEvent]:
    """Tell every change of the order's jobs, as `GET /jobs/{job_id}/events` does for one.

    One stream for all of them: a browser keeps six connections to a host, for all of its tabs.
    """
    jobs = [effect.job_id for effect in order.effects]
    async for event in events_of(jobs):
        yield event


@router.post("/effects")
def finish(request: Request, store: TheStore, order: TheOrder) -> Response:
    """Do what an order in mode `inline` still lacks; nothing, in the other mode."""
    path = f"/orders/{order.id}"
    if store.settings.checkout_mode != "inline":
        return see_other(request, path, "The jobs of this order go on by themselves.")
    try:
        perform(store.database, order)
    except EffectFailed as error:
        return effects_failed(request, error)
    return see_other(request, path, "Everything about your order is done now.")


def effects_failed(request: Request, error: EffectFailed) -> Response:
    """Answer 502: the order stands, and this is what failed behind it."""
    return page(
        request, "effects_failed.html", status=502, order=error.order, failures=error.failures
    )


def _render(request: Request, template: str, store: TheStore, order: Order) -> Response:
    cards = cards_of(order, store.settings.checkout_mode, rows_of(store.database, order))
    return page(
        request,
        template,
        order=order,
        look=look_on_page,
        cards=cards,
        settled=all_settled(cards),
        summary=summary(cards),
        inline=store.settings.checkout_mode == "inline",
    )
