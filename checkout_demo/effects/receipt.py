"""The mail with the receipt: composed without touching the network, then sent over SMTP."""

import re
import smtplib
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256
from typing import Final

from checkout_demo.effects.errors import MailRefused, MailUnavailable
from config.addresses import SmtpAddress, mailbox
from tasks.smtp import session

DOMAIN: Final = "expresslane.example"
"""The right-hand side of every Message-ID; RFC 2606 keeps it from meaning anybody."""

# What RFC 5322 allows to the left of the @ without quotes; 64 characters are RFC 5321's limit.
_KEY = re.compile(r"[A-Za-z0-9_+=-]+(\.[A-Za-z0-9_+=-]+)*")
_LONGEST_KEY = 64
_LONGEST_NAME = 100
_LONGEST_SUBJECT = 200

_REFUSALS = (smtplib.SMTPSenderRefused, smtplib.SMTPDataError)


def message_id(key: str) -> str:
    """Return the Message-ID that belongs to this idempotency key, always the same.

    Raises:
        ValueError: if the key has characters that a Message-ID must not have.

    """
    if len(key) > _LONGEST_KEY or not _KEY.fullmatch(key):
        raise ValueError(f"a mail's key is 1 to {_LONGEST_KEY} of A-Z a-z 0-9 . _ + = -")
    return f"<{key}@{DOMAIN}>"


def compose(
    *,
    to_name: str,
    to_address: str,
    subject: str,
    html: str,
    text: str,
    message_id: str,
    sender: str,
    now: datetime,
) -> EmailMessage:
    """Make the mail: its text first, then its HTML, which a mail program prefers.

    The same arguments give the same mail, byte for byte.

    Whatever the name and the subject hold, they end up in their own header: line breaks and other
    control characters become spaces, and what is too long is cut.

    Raises:
        MailRefused: if `to_address` is no mail address.
        ValueError: if `sender` is none.

    """
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = mailbox(sender)
    message["To"] = _recipient(to_name, to_address)
    message["Subject"] = _one_line(subject, _LONGEST_SUBJECT)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = message_id
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    # By default it is drawn at random, and a mail that is sent again would be another one.
    message.set_boundary(f"=_{sha256(message_id.encode()).hexdigest()[:32]}")
    return message


def send(
    message: EmailMessage, smtp: SmtpAddress, *, timeout: float, order_id: str | None = None
) -> None:
    """Hand the mail to the mail server.

    At least once: a process that dies after the server has accepted the mail, and before that is
    written down, sends it again when retried, with the same Message-ID. `timeout` is in seconds
    and bounds each answer of the server.

    Raises:
        MailUnavailable: when it may work later.
        MailRefused: when the server has refused this sender, recipient or content for good.

    """
    # The causes are left behind: smtplib puts the buyer's address into its messages.
    try:
        with session(smtp, timeout=timeout) as server:
            _hand_over(message, server, order_id)
    except OSError as error:
        raise _unavailable(order_id, error) from None


def _hand_over(message: EmailMessage, server: smtplib.SMTP, order_id: str | None) -> None:
    """Only what the server says from here on is about the mail, and can be final."""
    try:
        server.send_message(message, _from(message), _to(message))
    except smtplib.SMTPRecipientsRefused as error:
        code, answer = next(iter(error.recipients.values()))
        raise _refusal(order_id, code, answer) from None
    except _REFUSALS as error:
        raise _refusal(order_id, error.smtp_code, error.smtp_error) from None
    except smtplib.SMTPNotSupportedError:
        reason = "the server takes only addresses in ASCII"
        raise MailRefused(order_id, None, reason) from None


def _refusal(order_id: str | None, code: int, answer: bytes | str) -> MailRefused | MailUnavailable:
    """Sort an answer by its first digit: RFC 5321 means 5 as final and 4 as passing."""
    reason = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    # smtplib reports -1 where the answer is not SMTP at all; that says nothing about the mail.
    final = 500 <= code <= 599
    return (MailRefused if final else MailUnavailable)(order_id, code, reason)


def _unavailable(order_id: str | None, error: OSError) -> MailUnavailable:
    if isinstance(error, smtplib.SMTPResponseException):
        answer = error.smtp_error
        reason = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
        return MailUnavailable(order_id, error.smtp_code, f"{type(error).__name__}: {reason}")
    return MailUnavailable(order_id, None, f"{type(error).__name__}: {error}")


def _recipient(name: str, address: str) -> Address:
    try:
        found = mailbox(address)
        if found.display_name:
            raise MailRefused(reason="the address holds a name")
        return Address(_one_line(name, _LONGEST_NAME), found.username, found.domain)
    except ValueError:
        raise MailRefused(reason="the buyer's address is no mail address") from None


def _one_line(text: str, longest: int) -> str:
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:longest]


def _from(message: EmailMessage) -> str:
    return str(message["From"].addresses[0].addr_spec)


def _to(message: EmailMessage) -> list[str]:
    return [address.addr_spec for address in message["To"].addresses]
