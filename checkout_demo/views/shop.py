"""The catalogue, and the cart beside it."""

from typing import Annotated
from urllib.parse import quote
from uuid import uuid4

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from checkout_demo.cart import Cart, PricedCart
from checkout_demo.catalogue import in_stock
from checkout_demo.faults import Fault
from checkout_demo.models import Product
from checkout_demo.order_request import MOST_LINES, MOST_PIECES
from checkout_demo.web.pages import cart_of, keep_cart, page, see_other
from checkout_demo.web.reading import FormFields
from checkout_demo.web.store import Store, TheStore

router = APIRouter(include_in_schema=False)

Sku = Annotated[str, Path(max_length=40)]


@router.get("/")
def catalogue(request: Request, store: TheStore) -> Response:
    """Show what the store sells, with the cart and the checkout form."""
    return catalogue_page(request, store)


def catalogue_page(
    request: Request,
    store: Store,
    *,
    faults: tuple[Fault, ...] = (),
    fields: dict[str, str] | None = None,
) -> Response:
    """Render the catalogue; with faults, as the answer (422) to a form that had them.

    `fields` are the form's values, kept as they were typed.
    """
    products = _products(store)
    filled = {"name": "", "email": "", "checkout_key": "", **(fields or {})}
    return page(
        request,
        "catalogue.html",
        status=422 if faults else 200,
        current="shop",
        products=products,
        cart=PricedCart.price(cart_of(request), products),
        seen=str(cart_of(request)),
        fields={**filled, "checkout_key": filled["checkout_key"] or str(uuid4())},
        faults=faults,
        most=MOST_PIECES,
    )


@router.post("/cart")
def add(request: Request, store: TheStore, form: FormFields) -> Response:
    """Add pieces of a product to the cart. Fields: `sku`, and `quantity`, which is 1 by default."""
    product = next((p for p in _products(store) if p.sku == form.get("sku")), None)
    if product is None:
        return _refused(request, store, "There is no such product.")
    cart = cart_of(request)
    added = _number(form.get("quantity", "1"))
    total = cart.quantity(product.sku) + added
    if added < 1 or total > MOST_PIECES:
        return _refused(request, store, _bounds(product.name))
    if len(cart.pieces) >= MOST_LINES and not cart.quantity(product.sku):
        return _refused(request, store, f"A cart holds at most {MOST_LINES} products.")
    return _kept(
        request,
        cart.with_quantity(product.sku, total),
        f"{product.name} is in your cart.",
        anchor=product.sku,
    )


@router.post("/cart/{sku}")
def change(request: Request, store: TheStore, sku: Sku, form: FormFields) -> Response:
    """Change how many of a product are in the cart; 0 removes it. Field: `quantity`."""
    name = next((p.name for p in _products(store) if p.sku == sku), sku)
    quantity = _number(form.get("quantity", ""))
    if not 0 <= quantity <= MOST_PIECES:
        return _refused(request, store, _bounds(name))
    sentence = f"{quantity} of {name} in your cart." if quantity else f"{name} is out of your cart."
    return _kept(request, cart_of(request).with_quantity(sku, quantity), sentence, anchor="cart")


def _products(store: Store) -> list[Product]:
    with store.database.reading() as session:
        return in_stock(session)


def _kept(request: Request, cart: Cart, sentence: str, *, anchor: str) -> Response:
    return keep_cart(request, see_other(request, f"/#{quote(anchor)}", sentence), cart)


def _refused(request: Request, store: Store, sentence: str) -> Response:
    return catalogue_page(request, store, faults=(Fault("cart", sentence),))


def _bounds(name: str) -> str:
    return f"{name}: a cart holds 1 to {MOST_PIECES} of each product."


def _number(text: str) -> int:
    """Read a whole number; what is none counts as -1, which no bound lets through."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else -1
