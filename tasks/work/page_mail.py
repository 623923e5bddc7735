"""A mail that holds a harmless copy of a page."""

import re
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from urllib.parse import quote

from config.addresses import mailbox
from tasks.work.clean import clean
from tasks.work.errors import MailRefused
from tasks.work.page import Page

_ADDRESS = re.compile(r"""[^\s@<>()\[\]\\,;:"]+@[^\s@<>()\[\]\\,;:"]+""")
_LONGEST_ADDRESS = 254
"""RFC 5321 section 4.5.3.1.3: a path has at most 256 octets, with its angle brackets."""
_LONGEST_SUBJECT = 200
_SENDER_FORM = "write it as name@host or Name <name@host>"


def checked_address(to: str) -> str:
    """Return the address without spaces around it.

    Raises:
        MailRefused: when it is not exactly one address of the kind `name@host`.

    """
    address = to.strip()
    if len(address) > _LONGEST_ADDRESS or not address.isprintable():
        raise MailRefused(address[:_LONGEST_ADDRESS], "it is too long or holds odd characters")
    if not _ADDRESS.fullmatch(address):
        raise MailRefused(address, "it is not one mail address; write it as name@host")
    return address


def compose(
    page: Page, *, to: str, sender: str, subject: str | None, job_id: str, now: datetime
) -> EmailMessage:
    """Make the mail: HTML with a text alternative, each saying which page it is a copy of.

    Without a subject, the page's title is taken, or else its URL. The Message-ID is made from the
    job's id, so that a mail which is sent twice can be known as one.

    Raises:
        MailRefused: when `sender` is not an address.
        PageRefused: when the page cannot be read.

    """
    copy = clean(page)
    mail = EmailMessage(policy=SMTP)
    mail["From"] = origin = _origin(sender)
    mail["To"] = to
    mail["Subject"] = _one_line(subject or "") or _one_line(copy.title) or _one_line(page.url)
    mail["Date"] = now
    mail["Message-ID"] = f"<{quote(job_id, safe='')}@{origin.domain}>"
    url = escape(page.url)
    head = f'<meta charset="utf-8"><title>{escape(mail["Subject"])}</title>'
    intro = f'<p>Copy of <a href="{url}">{url}</a></p><hr>'
    mail.set_content(f"Copy of {page.url}\n\n{copy.text}\n")
    mail.add_alternative(
        f"<!doctype html>\n<html><head>{head}</head><body>{intro}{copy.html}</body></html>\n",
        subtype="html",
    )
    return mail


def _one_line(text: str) -> str:
    """Make a header of it: no line breaks, which would begin another one, nor unseen characters."""
    line = " ".join(text.split())
    return "".join(filter(str.isprintable, line))[:_LONGEST_SUBJECT]


def _origin(sender: str) -> Address:
    try:
        return mailbox(sender)
    except ValueError:
        raise MailRefused("MAIL_FROM", _SENDER_FORM) from None
