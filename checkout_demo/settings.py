"""What the store, its effects and its sandbox need to know on top of the framework's settings."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from config.addresses import SmtpAddress, split_url
from config.reading import above, at_least, at_most, setting
from config.secret import SecretStr
from config.settings import Settings, load, sender

_DATABASE_FORM = "write sqlite:///path/to/file.db or postgresql://user:password@host:5432/database"
_HTTP_FORM = "write http://host:port or https://user:password@host:port"
_PUBLIC_FORM = "write the public address of the store, such as https://store.example.com"
MAX_PORT = 65_535
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")


def sqlalchemy_url(value: SecretStr) -> SecretStr:
    """Return the address as SQLAlchemy wants it, with psycopg 3 for PostgreSQL.

    Raises:
        ValueError: if it is neither SQLite nor PostgreSQL; the message never repeats the value.

    """
    try:
        url = make_url(value.get_secret_value())
    except (ArgumentError, ValueError):
        raise ValueError(_DATABASE_FORM) from None
    if url.drivername == "sqlite" and not url.host and url.database not in (None, "", ":memory:"):
        return value
    if url.drivername in _POSTGRES and (url.port is None or 1 <= url.port <= MAX_PORT):
        return SecretStr(_rendered(url.set(drivername="postgresql+psycopg")))
    raise ValueError(_DATABASE_FORM)


def http_url(value: SecretStr) -> SecretStr:
    """Check that this is the address of an HTTP service, and drop the slash at its end.

    Raises:
        ValueError: if it is not; the message never repeats the value.

    """
    parts = split_url(value, _HTTP_FORM)
    if parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise ValueError(_HTTP_FORM)
    return SecretStr(value.get_secret_value().rstrip("/"))


def public_url(value: str) -> str:
    """Check that this is an HTTP address fit to be shown, and drop the slash at its end.

    Raises:
        ValueError: if it is not, or holds a user name; the message never repeats the value.

    """
    try:
        url = http_url(SecretStr(value)).get_secret_value()
    except ValueError:
        raise ValueError(_PUBLIC_FORM) from None
    if "@" in url:
        raise ValueError(_PUBLIC_FORM)
    return url


def _rendered(url: URL) -> str:
    return url.render_as_string(hide_password=False)


_PORT = (at_least(1), at_most(MAX_PORT))
_SECONDS = (above(0), at_most(300))


@dataclass(frozen=True, kw_only=True)
class StoreSettings(Settings):
    """The store's settings. Every one is optional; the addresses follow the ports and `STATE_DIR`.

    Read the finished values at `database`, `erp`, `smtp` and `store`.
    """

    database_url: SecretStr | None = setting(
        None, "the store's database; a file in STATE_DIR when not set", sqlalchemy_url
    )
    erp_url: SecretStr | None = setting(
        None, "ERP service; the sandbox at ERP_PORT when not set", http_url
    )
    store_url: str | None = setting(
        None, "public address for links in mails; STORE_PORT here when not set", public_url
    )
    mail_from: str = setting(
        "Expresslane Store <store@example.com>", "sender of the receipts", sender
    )
    store_port: int = setting(8000, "port of the web pages", *_PORT)
    erp_port: int = setting(8001, "port of the ERP sandbox", *_PORT)
    smtp_port: int = setting(8025, "port of the mail sandbox", *_PORT)
    flower_port: int = setting(5555, "port of Flower", *_PORT)
    checkout_mode: Literal["deferred", "inline"] = setting(
        "deferred", "where the three effects happen: in jobs, or in the request"
    )
    erp_timeout: float = setting(5, "seconds to wait for each step of an ERP call", *_SECONDS)
    mail_latency_ms: int = setting(
        0, "milliseconds that the mail sandbox takes for each mail", at_least(0), at_most(60_000)
    )
    smtp_timeout: float = setting(10, "seconds to wait for each answer of SMTP", *_SECONDS)

    @property
    def database(self) -> str:
        """The store's database for `sqlalchemy.create_engine`, password included: never log it."""
        if self.database_url:
            return self.database_url.get_secret_value()
        file = str(self.state_dir.absolute() / "store.db")
        return _rendered(URL.create("sqlite", database=file))

    @property
    def erp(self) -> SecretStr:
        """The address of the ERP service."""
        return self.erp_url or SecretStr(f"http://127.0.0.1:{self.erp_port}")

    @property
    def smtp(self) -> SmtpAddress:
        """The mail server: the sandbox at `SMTP_PORT`, unless `SMTP_URL` is set."""
        if "smtp_url" in self.given:
            return super().smtp
        return SmtpAddress("127.0.0.1", self.smtp_port)

    @property
    def store(self) -> str:
        """The store's public address, without a slash at its end."""
        return self.store_url or f"http://127.0.0.1:{self.store_port}"

    @property
    def mail_dir(self) -> Path:
        """The Maildir of the mail sandbox."""
        return self.state_dir / "mail"

    @property
    def erp_database(self) -> Path:
        """The database file of the ERP sandbox."""
        return self.state_dir / "erp.db"


@cache
def store_settings() -> StoreSettings:
    """Return the store's settings, read once for the whole process."""
    return load(StoreSettings)
