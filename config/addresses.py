"""Addresses of services and of people, read from the text of a setting and checked.

No message of these functions repeats the value: it may hold a password, and it ends in a log.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit

from config.secret import SecretStr

if TYPE_CHECKING:
    from email.headerregistry import Address

Security = Literal["none", "starttls", "tls"]

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
    """Read the address of a mail server; without a port, it is the usual one of the three kinds.

    smtp://host                            in the clear, for a relay on the same machine
    smtp://user:password@host?starttls=1   TLS before anything that matters, or nothing is sent
    smtps://user:password@host             TLS from the first byte (RFC 8314 section 3.3)

    Raises:
        ValueError: if it is not one.

    """
    parts = split_url(url, _SMTP_FORM)
    user, password = credentials(url)
    if not f"{user or ''}{password or ''}".isascii():
        raise ValueError("user and password must be ASCII, or SMTP cannot carry them")
    security = _security(parts)
    return SmtpAddress(
        host=_host(parts),
        port=parts.port or _SMTP_PORTS[security],
        security=security,
        username=user,
        password=None if password is None else SecretStr(password),
    )


def mailbox(value: str) -> "Address":
    """Read one mail address, with or without a name: `Name <user@host>`.

    Raises:
        ValueError: if it is not exactly one.

    """
    # Parsers that most workers never need take as much memory as all of config/.
    from email import policy  # noqa: PLC0415
    from email.errors import NonASCIILocalPartDefect  # noqa: PLC0415
    from email.headerregistry import UniqueAddressHeader  # noqa: PLC0415

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


def split_url(url: SecretStr, form: str) -> SplitResult:
    """Split the URL of a service; its host is given, and its port can exist.

    Raises:
        ValueError: if it is none; the message is `form`, or says what to write in a password.

    """
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


def without_password(url: SecretStr) -> str:
    """Return the URL without user name and password, for logs and for `app.conf`."""
    parts = urlsplit(url.get_secret_value())
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def credentials(url: SecretStr) -> tuple[str | None, str | None]:
    """Return the user name and the password that the URL holds."""
    parts = urlsplit(url.get_secret_value())
    return (
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
    )


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


def _host(parts: SplitResult) -> str:
    host = str(parts.hostname)
    try:
        # What Python's sockets do when they connect: too late, and with no OSError.
        host.encode("idna")
    except UnicodeError:
        raise ValueError(_SMTP_FORM) from None
    return host
