"""Handing a mail to the mail server that a URL names.

smtp://host:25                             in the clear, for a relay on the same machine
smtp://user:password@host:587?starttls=1   TLS before anything that matters, or nothing is sent
smtps://user:password@host:465             TLS from the first byte (RFC 8314 section 3.3)
"""

import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from config.settings import credentials
from tasks.work.errors import MailRefused, MailUnavailable

SECONDS = 10.0
"""For each step of the talk with the mail server."""

_STARTTLS = "starttls=1"
_PORTS = {("smtp", ""): 25, ("smtp", _STARTTLS): 587, ("smtps", ""): 465}
"""By scheme and query: RFC 5321, RFC 6409 and RFC 8314."""
_FORM = "write smtp://host:port, smtp://host:port?starttls=1 or smtps://host:port"
_PERMANENT = range(500, 600)
"""Replies that mean that the same mail will be refused again (RFC 5321 section 4.2.1)."""


def send(mail: EmailMessage, server: SecretStr, *, seconds: float = SECONDS) -> None:
    """Send a mail to the one recipient of its `To`; when this returns, the server has accepted it.

    At least once, if it is tried again: when the connection breaks after the server has accepted
    the mail and before it could say so, nobody knows. `seconds` is for each step.

    Raises:
        MailUnavailable: when the server cannot be reached, breaks off or answers 4xx.
        MailRefused: when it answers 5xx, has no valid certificate, or the URL cannot be used.

    """
    parts = _parts(server)
    with _explained(str(mail["To"])):
        smtp = _connect(parts, seconds)
        try:
            if parts.query == _STARTTLS:
                smtp.starttls(context=ssl.create_default_context())
            user, password = credentials(server)
            if user is not None:
                smtp.login(user, password or "")
            smtp.send_message(mail)
        finally:
            # What goes wrong with the goodbye does not undo what the server has accepted.
            with suppress(OSError):
                smtp.quit()
            smtp.close()


def _parts(server: SecretStr) -> SplitResult:
    """Take the URL apart; no message repeats it, since it may hold a password."""
    try:
        parts = urlsplit(server.get_secret_value())
        usable = parts.hostname and parts.port != 0 and (parts.scheme, parts.query) in _PORTS
    except ValueError:
        raise MailRefused("SMTP_URL", _FORM) from None
    if not usable:
        raise MailRefused("SMTP_URL", _FORM)
    return parts


def _connect(parts: SplitResult, seconds: float) -> smtplib.SMTP:
    host = str(parts.hostname)
    port = parts.port or _PORTS[parts.scheme, parts.query]
    # By default, smtplib asks the DNS for this machine's full name, which may take long.
    own = socket.gethostname()
    name = own if "." in own else "[127.0.0.1]"
    if parts.scheme == "smtps":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(host, port, name, timeout=seconds, context=context)
    return smtplib.SMTP(host, port, name, timeout=seconds)


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
