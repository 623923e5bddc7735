"""The mails that the mail sandbox has got."""

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from checkout_demo.sandbox.inbox import ReceivedMail, received
from checkout_demo.views.schemas import MailBody
from checkout_demo.web.headers import FOREIGN_MAIL
from checkout_demo.web.pages import page
from checkout_demo.web.store import Store, TheStore

router = APIRouter()

MOST_MAILS = 100
"""On one page; the API lists them all."""


@router.get("/inbox", include_in_schema=False)
def inbox(request: Request, store: TheStore) -> Response:
    """List the newest mails."""
    mails = received(store.settings.mail_dir, limit=MOST_MAILS)
    return page(request, "inbox.html", current="inbox", mails=mails, key=_key, most=MOST_MAILS)


@router.get("/inbox/{key}", include_in_schema=False)
def mail(request: Request, store: TheStore, key: str) -> Response:
    """Show one mail: its headers, its HTML in a frame that can do nothing, its text."""
    found = _find(store, key)
    return page(request, "mail.html", current="inbox", mail=found, key=key)


@router.get("/inbox/{key}/html", include_in_schema=False)
def mail_html(store: TheStore, key: str) -> Response:
    """Return a mail's HTML, under a policy that gives it an origin of its own and no scripts."""
    return HTMLResponse(_find(store, key).html, headers=dict(FOREIGN_MAIL))


@router.get("/api/inbox", tags=["sandbox"], response_model=list[MailBody])
def inbox_api(store: TheStore) -> Response:
    """List all mails, newest first."""
    return JSONResponse([_as_json(mail) for mail in received(store.settings.mail_dir)])


def _find(store: Store, key: str) -> ReceivedMail:
    for found in received(store.settings.mail_dir):
        if _key(found) == key:
            return found
    raise HTTPException(404, "There is no such mail in the inbox.")


def _key(found: ReceivedMail) -> str:
    return found.message_id.strip("<>")


def _as_json(found: ReceivedMail) -> dict[str, str]:
    return {
        "to": found.to,
        "subject": found.subject,
        "message_id": found.message_id,
        "html": found.html,
    }
