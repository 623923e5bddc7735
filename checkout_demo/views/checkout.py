"""The page's checkout form."""

from fastapi import APIRouter, Request
from sqlalchemy import select
from starlette.responses import RedirectResponse, Response

from checkout_demo.cart import Cart
from checkout_demo.checkout import place_order
from checkout_demo.faults import BadOrder, Fault, KeyReused
from checkout_demo.inline import EffectFailed
from checkout_demo.models import Order
from checkout_demo.views.orders import effects_failed
from checkout_demo.views.shop import catalogue_page
from checkout_demo.web.pages import cart_of, keep_cart, see_other
from checkout_demo.web.reading import FormFields
from checkout_demo.web.store import Store, TheStore

router = APIRouter(prefix="/checkout", include_in_schema=False)

_CHANGED = Fault("cart", "Your cart has changed since this page was shown. Look it over once more.")


@router.get("")
def form() -> Response:
    """Lead whoever reloads a refused form back to the form."""
    return RedirectResponse("/#cart", status_code=303)


@router.post("")
def check_out(request: Request, store: TheStore, form: FormFields) -> Response:
    """Order what is in the cart. Fields: `name`, `email`, and `checkout_key`, the form's own key.

    Two clicks send one form twice: the key leads both to the one order.
    """
    cart, key = cart_of(request), form.get("checkout_key") or None
    if not cart and (earlier := _order_of(store, key)):
        # The second click of two: the first one has emptied the cart.
        return _to_order(request, earlier)
    if form.get("seen", str(cart)) != str(cart):
        return catalogue_page(request, store, faults=(_CHANGED,), fields=form)
    try:
        return _ordered(request, store, cart, form, key)
    except KeyReused as error:
        sentence = f"This form has made order {error.order_number} already. Look the cart over and"
        again = {**form, "checkout_key": ""}
        fault = Fault("cart", f"{sentence} place the order once more if you want both.")
        return catalogue_page(request, store, faults=(fault,), fields=again)
    except BadOrder as error:
        return catalogue_page(request, store, faults=_for_form(error), fields=form)


def _ordered(
    request: Request, store: Store, cart: Cart, form: dict[str, str], key: str | None
) -> Response:
    customer = {"name": form.get("name", ""), "email": form.get("email", "")}
    mode = store.settings.checkout_mode
    try:
        placed = place_order(store.database, cart.as_items(), customer, key, mode=mode)
    except EffectFailed as error:
        return keep_cart(request, effects_failed(request, error), Cart())
    return _to_order(request, placed.order)


def _to_order(request: Request, order: Order) -> Response:
    # That page begins with the sentence that says so.
    return keep_cart(request, see_other(request, f"/orders/{order.id}"), Cart())


def _order_of(store: Store, key: str | None) -> Order | None:
    if key is None:
        return None
    with store.database.reading() as session:
        return session.scalar(select(Order).where(Order.idempotency_key == key))


def _for_form(error: BadOrder) -> tuple[Fault, ...]:
    """Name the form's fields; whatever is not one of them is about the cart."""
    names = {"customer.name": "name", "customer.email": "email"}
    return tuple(Fault(names.get(fault.field, "cart"), fault.message) for fault in error.faults)
