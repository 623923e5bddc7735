"""Where the effects go: the addresses of the ERP service and of the mail server, checked.

No message of these functions repeats the value: it may hold a password, and it ends in a log.
"""

from dataclasses import dataclass
from email import policy
from email.errors import NonASCIILocalPartDefect
from email.headerregistry import Address, UniqueAddressHeader
from typing import Literal
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import SecretStr

from config.settings import credentials

Security = Literal["none", "starttls", "tls"]

_HTTP_FORM = "write http://host:port or https://user:password@host:port"
_PUBLIC_FORM = "write the public address of the store, such as https://store.example.com"
_MAILBOX_FORM = 'write Name <user@host>, with "quotes" around a name that holds . or ,'
_SMTP_FORM = "write smtp://host:port, smtp://user:password@host:587?starttls=1 or smtps://host:465"

# RFC 5321, RFC 6409 and RFC 8314, in this order.
_SMTP_PORTS: dict[Security, int] = {"none": 25, "starttls": 587, "tls": 465}


@dataclass(frozen=True)
class SmtpAddress:
    """A mail server, and how to speak to it: in the clear, upgraded by STARTTLS, or TLS at once."""

    host: str
    port: int
    security: Security = "none"
    username: str | None = None
    password: SecretStr | None = None


def smtp_address(url: SecretStr) -> SmtpAddress:
    """Read the address of a mail server.

    Raises:
        ValueError: if it is not one.

    """
    parts = _split(url, _SMTP_FORM)
    user, password = credentials(url)
    if not f"{user or ''}{password or ''}".isascii():
        raise ValueError("user and password must be ASCII, or SMTP cannot carry them")
    security = _security(parts)
    return SmtpAddress(
        host=str(parts.hostname),
        port=parts.port or _SMTP_PORTS[security],
        security=security,
        username=user,
        password=None if password is None else SecretStr(password),
    )


def http_url(value: SecretStr) -> SecretStr:
    """Check that this is the address of an HTTP service, and drop the slash at its end.

    Raises:
        ValueError: if it is not.

    """
    parts = _split(value, _HTTP_FORM)
    if parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise ValueError(_HTTP_FORM)
    return SecretStr(value.get_secret_value().rstrip("/"))


def public_url(value: str) -> str:
    """Check that this is an HTTP address fit to be shown, and drop the slash at its end.

    Raises:
        ValueError: if it is not, or holds a user name.

    """
    try:
        url = http_url(SecretStr(value)).get_secret_value()
    except ValueError:
        raise ValueError(_PUBLIC_FORM) from None
    if "@" in url:
        raise ValueError(_PUBLIC_FORM)
    return url


def mailbox(value: str) -> Address:
    """Read one mail address, with or without a name: `Name <user@host>`.

    Raises:
        ValueError: if it is not exactly one.

    """
    try:
        header = policy.default.header_factory("From", value)
    except Exception:  # noqa: BLE001 (the parser raises all kinds of errors on hostile text)
        raise ValueError(_MAILBOX_FORM) from None
    found = header.addresses if isinstance(header, UniqueAddressHeader) else ()
    # An international address (RFC 6531) is no defect; the server decides whether it takes it.
    defects = [fault for fault in header.defects if not isinstance(fault, NonASCIILocalPartDefect)]
    if len(found) != 1 or defects or not found[0].username or not found[0].domain:
        raise ValueError(_MAILBOX_FORM)
    if not value.isprintable():
        raise ValueError(_MAILBOX_FORM)
    return found[0]


def _security(parts: SplitResult) -> Security:
    options = parse_qs(parts.query, keep_blank_values=True)
    starttls = options.pop("starttls", ["0"])
    if parts.scheme not in ("smtp", "smtps") or parts.path.strip("/") or options or parts.fragment:
        raise ValueError(_SMTP_FORM)
    if parts.scheme == "smtps" and starttls == ["0"]:
        return "tls"
    if parts.scheme == "smtp" and starttls in (["0"], ["1"]):
        return "starttls" if starttls == ["1"] else "none"
    raise ValueError(_SMTP_FORM)


def _split(url: SecretStr, form: str) -> SplitResult:
    try:
        parts = urlsplit(url.get_secret_value())
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        # The standard library's message may repeat all that stands before the host.
        raise ValueError(form) from None
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        raise ValueError("write / ? # and @ in a password as %2F %3F %23 and %40")
    if not usable:
        raise ValueError(form)
    return parts
