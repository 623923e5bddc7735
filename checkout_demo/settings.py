"""What the store, its effects and its sandbox need to know on top of the framework's settings."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from checkout_demo.effects.addresses import SmtpAddress, http_url, mailbox, public_url, smtp_address
from config.settings import Settings, load

_DATABASE_FORM = "write sqlite:///path/to/file.db or postgresql://user:password@host:5432/database"
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


def sender(value: str) -> str:
    """Check that this is one mail address, with or without a name.

    Raises:
        ValueError: if it is not.

    """
    mailbox(value)
    return value


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
    mail_from: Annotated[str, AfterValidator(sender)] = Field(
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
    smtp_timeout: Seconds = Field(10, description="seconds to wait for each answer of SMTP")

    @field_validator("smtp_url")
    @classmethod
    def _smtp_url(cls, value: SecretStr) -> SecretStr:
        smtp_address(value)
        return value

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
            return smtp_address(self.smtp_url)
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
