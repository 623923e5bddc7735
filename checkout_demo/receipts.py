"""The receipt: one template, for the order's page and for the mail."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from checkout_demo.models import Order
from checkout_demo.templating import TEMPLATES

# Mail programs drop style sheets, so in a mail every part of the receipt carries its own style.
# The colours are those of static/css/base.css, on paper in both of its schemes.
_TEXT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;color:#1b2250"
_CELL = "padding:8px 0;border-bottom:1px solid #d9d6ca;vertical-align:top"
_HEAD = "font-size:12px;font-weight:normal;color:#4a5185;padding:0 0 4px"
_MONO = "font-family:ui-monospace,Menlo,Consolas,monospace;white-space:nowrap"
_MAIL_STYLES: Mapping[str, str] = {
    "receipt": f"{_TEXT};max-width:460px;margin:0 auto;padding:28px;background:#fffdf6",
    "shop": "margin:0;font-size:13px;letter-spacing:.08em;text-transform:uppercase;color:#4a5185",
    "title": "margin:4px 0 20px;font-size:26px;line-height:1.2",
    "facts": "margin:0 0 20px;font-size:14px;line-height:1.6",
    "term": "margin:0;color:#4a5185",
    "fact": "margin:0 0 6px",
    "lines": "width:100%;border-collapse:collapse;font-size:15px",
    "head": f"{_HEAD};text-align:left",
    "head-number": f"{_HEAD};text-align:right",
    "item": _CELL,
    "each": "display:block;font-size:13px;color:#4a5185",
    "number": f"{_CELL};{_MONO};text-align:right",
    "total": "padding:14px 0 0;font-size:17px;font-weight:bold;text-align:left",
    "total-number": f"padding:14px 0 0;{_MONO};font-size:17px;font-weight:bold;text-align:right",
    "thanks": "margin:22px 0 0;font-size:14px;line-height:1.5;color:#4a5185",
}


@dataclass(frozen=True)
class Receipt:
    """A receipt as a mail carries it: a whole HTML document, and the same as plain text."""

    html: str
    text: str


def render_receipt(order: Order, *, link: str) -> Receipt:
    """Render the receipt for a mail. `link` is the address of the order's page."""
    context = {"order": order, "link": link}
    html = TEMPLATES.get_template("receipt_mail.html")
    text = TEMPLATES.get_template("receipt_mail.txt")
    return Receipt(html.render(context, look=_style), text.render(context))


def look_on_page(role: str) -> Markup:
    """Return the attribute that gives a part of the receipt its look on a page: its class."""
    return Markup('class="receipt-{}"').format(role)


def _style(role: str) -> Markup:
    return Markup('style="{}"').format(_MAIL_STYLES[role])
