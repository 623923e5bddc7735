"""Handing a mail to the mail server, with errors that tell whether to try again."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage

from config.addresses import SmtpAddress
from tasks.smtp import session
from tasks.work.errors import MailRefused, MailUnavailable

SECONDS = 10.0
"""For each step of the talk with the mail server."""

_PERMANENT = range(500, 600)
"""Replies that mean that the same mail will be refused again (RFC 5321 section 4.2.1)."""


def send(mail: EmailMessage, smtp: SmtpAddress, *, seconds: float = SECONDS) -> None:
    """Send a mail to the one recipient of its `To`; when this returns, the server has accepted it.

    At least once, if it is tried again: when the connection breaks after the server has accepted
    the mail and before it could say so, nobody knows. `seconds` is for each step.

    Raises:
        MailUnavailable: when the server cannot be reached, breaks off or answers 4xx.
        MailRefused: when it answers 5xx, cannot do what is needed or has no valid certificate.

    """
    with _explained(str(mail["To"])), session(smtp, timeout=seconds) as server:
        server.send_message(mail)


@contextmanager
def _explained(to: str) -> Iterator[None]:
    """Turn the errors of smtplib, of TLS and of the network into ours."""
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        raise _refusal(to, *next(iter(error.recipients.values()))) from error
    except smtplib.SMTPResponseException as error:
        raise _refusal(to, error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPNotSupportedError as error:
        raise MailRefused(to, f"{error}; set SMTP_URL to a server that can do it") from error
    except ssl.SSLCertVerificationError as error:
        why = f"the mail server's certificate is not valid ({error.verify_message}); check SMTP_URL"
        raise MailRefused(to, why) from error
    except OSError as error:  # smtplib's other errors are OSErrors too
        why = f"no connection to the mail server ({error}); check SMTP_URL, or try again later"
        raise MailUnavailable(to, why) from error


def _refusal(to: str, code: int, reply: bytes | str) -> MailRefused | MailUnavailable:
    said = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    if code in _PERMANENT:
        return MailRefused(to, f"the mail server answered {code} {said}; correct the mail or To")
    return MailUnavailable(to, f"the mail server answered {code} {said}; try again later")
