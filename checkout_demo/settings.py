"""What the store, its effects and its sandbox need to know on top of the framework's settings."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from config.addresses import SmtpAddress, split_url
from config.settings import Sender, Settings, load

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


Port = Annotated[int, Field(ge=1, le=MAX_PORT)]
Seconds = Annotated[float, Field(gt=0, le=300)]


class StoreSettings(Settings):
    """The store's settings. Every one is optional; the addresses follow the ports and `STATE_DIR`.

    Read the finished values at `database`, `erp`, `smtp` and `store`.
    """

    database_url: Annotated[SecretStr, AfterValidator(sqlalchemy_url)] | None = Field(
        None, description="the store's database; a file in STATE_DIR when not set"
    )
    erp_url: Annotated[SecretStr, AfterValidator(http_url)] | None = Field(
        None, description="ERP service; the sandbox at ERP_PORT when not set"
    )
    store_url: Annotated[str, AfterValidator(public_url)] | None = Field(
        None, description="public address for links in mails; STORE_PORT here when not set"
    )
    mail_from: Sender = Field(
        "Expresslane Store <store@example.com>", description="sender of the receipts"
    )
    store_port: Port = Field(8000, description="port of the web pages")
    erp_port: Port = Field(8001, description="port of the ERP sandbox")
    smtp_port: Port = Field(8025, description="port of the mail sandbox")
    flower_port: Port = Field(5555, description="port of Flower")
    checkout_mode: Literal["deferred", "inline"] = Field(
        "deferred", description="where the three effects happen: in jobs, or in the request"
    )
    erp_timeout: Seconds = Field(5, description="seconds to wait for each step of an ERP call")
    mail_latency_ms: int = Field(
        0, ge=0, le=60_000, description="milliseconds that the mail sandbox takes for each mail"
    )
    smtp_timeout: Seconds = Field(10, description="seconds to wait for each answer of SMTP")

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
        if "smtp_url" in self.model_fields_set:
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
