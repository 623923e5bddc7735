"""Templates into answers, and the one sentence that a redirect carries to the next page."""

from urllib.parse import quote, unquote

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from checkout_demo.cart import COOKIE, COOKIE_SECONDS, Cart, PricedCart
from checkout_demo.templating import TEMPLATES
from checkout_demo.web.store import Store

_NOTICE = "notice"
# It only has to live until the redirect's next page asks for it.
_NOTICE_SECONDS = 30
_LONGEST_NOTICE = 300


def page(
    request: Request, template: str, *, status: int = 200, current: str = "", **context: object
) -> Response:
    """Render a page. A sentence that a redirect left is shown on it, once.

    `current` names the entry of the navigation that the page belongs to.
    """
    notice = unquote(request.cookies.get(_NOTICE, ""))[:_LONGEST_NOTICE]
    cart = context.get("cart")
    count = cart.count if isinstance(cart, PricedCart) else _pieces(cart_of(request))
    layout = {"notice": notice, "current": current, "cart_count": count, "flower": _flower(request)}
    html = TEMPLATES.get_template(template).render({**layout, **context})
    answer = HTMLResponse(html, status)
    if notice:
        answer.delete_cookie(_NOTICE)
    return answer


def see_other(request: Request, path: str, sentence: str = "") -> Response:
    """Answer a POST: go to this page, which says this sentence."""
    answer = RedirectResponse(path, status_code=303)
    if sentence:
        _set(request, answer, _NOTICE, quote(sentence), _NOTICE_SECONDS)
    return answer


def cart_of(request: Request) -> Cart:
    """Return the visitor's cart."""
    return Cart.parse(request.cookies.get(COOKIE))


def keep_cart(request: Request, answer: Response, cart: Cart) -> Response:
    """Let the visitor's browser keep this cart; forget it when it is empty."""
    if cart:
        _set(request, answer, COOKIE, str(cart), COOKIE_SECONDS)
    else:
        answer.delete_cookie(COOKIE)
    return answer


def _flower(request: Request) -> str:
    store: Store = request.app.state.store
    return store.flower


def _pieces(cart: Cart) -> int:
    return sum(quantity for _, quantity in cart.pieces)


def _set(request: Request, answer: Response, name: str, value: str, seconds: int) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=seconds,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
