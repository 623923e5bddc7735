"""The settings, typed and frozen. Nothing else in the project reads the environment.

Every setting is optional; with none set, everything lives on this machine, below `STATE_DIR`.
A project that takes `config/` along adds settings of its own in a subclass and reads them with
`load`, as `checkout_demo/settings.py` does.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.addresses import SmtpAddress, mailbox, smtp_address

# Who reads a URL from the settings finds here what takes it apart.
from config.addresses import credentials as credentials  # noqa: PLC0414 (mypy's mark of an export)
from config.addresses import without_password as without_password  # noqa: PLC0414 (likewise)

ADDRESSES_FILE = "addresses.env"
"""Where a running demo writes the addresses of what it started, below `STATE_DIR`.

A worker or a shell that is started by hand while the demo runs finds them there and joins it.
"""

_REDIS_SCHEMES = ("redis", "rediss", "sentinel")


class BadSettings(SystemExit):
    """Some settings cannot be used. The message names each, and says what to write instead."""


def redis_url(value: SecretStr) -> SecretStr:
    """Check that `value` is an address of a Redis or Valkey server.

    Raises:
        ValueError: if it is not; the message never repeats the value, which may hold a password.

    """
    first, *others = value.get_secret_value().split(";")
    usable = _is_redis(first) and all(
        # The password of the first one is the servers'; a Sentinel is asked without any.
        _is_redis(other) and "@" not in other and urlsplit(other).scheme == "sentinel"
        for other in others
    )
    if others:
        usable = usable and urlsplit(first).scheme == "sentinel"
    if not usable:
        raise ValueError(
            "write redis://host:port/db, rediss://host:port/db (TLS) or sentinel://host:port/db; "
            "several Sentinels with ; between them, a password in the first alone"
        )
    return value


def smtp_url(value: SecretStr) -> SecretStr:
    """Check that `value` is an address of a mail server.

    Raises:
        ValueError: if it is not; the message never repeats the value, which may hold a password.

    """
    smtp_address(value)
    return value


def sender(value: str) -> str:
    """Check that `value` is one mail address, with or without a name.

    Raises:
        ValueError: if it is not.

    """
    mailbox(value)
    return value


def traces_address(value: str) -> str:
    """Check that spans can be sent to this address, and that what sends them is installed.

    Raises:
        ValueError: if not.

    """
    if not value.startswith(("http://", "https://")):
        raise ValueError("write http://host:4318/v1/traces, or https://...")
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise ValueError("install what it needs: pip install 'expresslane[traces]'")
    return value


RedisUrl = Annotated[SecretStr, AfterValidator(redis_url)]
TracesUrl = Annotated[str, AfterValidator(traces_address)]
SmtpUrl = Annotated[SecretStr, AfterValidator(smtp_url)]
Sender = Annotated[str, AfterValidator(sender)]


class Settings(BaseSettings):
    """What the framework needs to know. The field's name in capitals is the variable's name."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        # `BROKER_URL= make demo` means: as if it were not set.
        env_ignore_empty=True,
    )

    broker_url: RedisUrl = Field(
        SecretStr("redis://127.0.0.1:6379/0"), description="Redis or Valkey that holds the queues"
    )
    result_backend_url: RedisUrl | None = Field(
        None, description="Redis or Valkey that holds states and data; the broker when not set"
    )
    sentinel_master: str = Field(
        "mymaster", min_length=1, description="the master's name, where the URL names Sentinels"
    )
    state_dir: Path = Field(Path(".local"), description="directory for everything kept on disk")

    result_expires: int = Field(
        86_400, ge=60, description="seconds a Complete or Cancelled job's state is kept"
    )
    result_failure_expires: int = Field(
        7 * 86_400, ge=60, description="seconds a Failed job's state is kept"
    )

    publish_timeout: float = Field(
        1, gt=0, le=60, description="seconds that a publish or a status may wait for a dead server"
    )
    lease: float = Field(
        10, ge=1, le=3_600, description="seconds after which a dead worker's jobs are taken back"
    )
    delivery_limit: int = Field(
        3, ge=1, le=100, description="workers that may die over a job until it is given up"
    )
    quarantine_limit: int = Field(
        10_000, ge=1, description="messages kept in quarantine; the oldest make room"
    )
    failed_jobs_max: int = Field(
        100_000, ge=1, description="failed jobs kept; the oldest make room"
    )
    failed_jobs_max_age: int = Field(30 * 86_400, ge=60, description="seconds a failed job is kept")

    outbox_keep: int = Field(
        7 * 86_400, ge=60, description="seconds a finished row of the outbox is kept"
    )

    traces_url: TracesUrl | None = Field(
        None, description="where spans go, OTLP over HTTP; no spans are made when not set"
    )
    job_log_lines: int = Field(
        100, ge=0, le=10_000, description="log lines that are kept of each job; 0 for none"
    )
    worker_max_memory_mb: int = Field(
        1_024, ge=0, description="MB that a process of the prefork pool may grow to; 0 for any"
    )
    event_jobs_max: int = Field(
        50, ge=0, description="jobs a second that each worker sends events of, to Flower"
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="least severe line that is logged"
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="console for people, json for a log collector"
    )

    mask: str = Field(
        "email,token,password,secret,authorization,card",
        description="words in names whose values are shown nowhere, with commas; none for none",
    )
    audit_limit: int = Field(
        10_000, ge=100, description="changes by operators that are kept; the oldest make room"
    )

    smtp_url: SmtpUrl = Field(
        SecretStr("smtp://127.0.0.1:8025"), description="mail server; user and password allowed"
    )
    mail_from: Sender = Field(
        "Expresslane <expresslane@example.com>", description="sender of the mails that jobs send"
    )
    fetch_private_addresses: bool = Field(
        False,
        description="let the sample jobs fetch from loopback and private networks",
    )

    @property
    def results(self) -> SecretStr:
        """The address of the result backend: the broker's, unless one is given."""
        return self.result_backend_url or self.broker_url

    @property
    def masked_names(self) -> tuple[str, ...]:
        """The words of `MASK`."""
        words = tuple(word.strip() for word in self.mask.split(",") if word.strip())
        return () if words == ("none",) else words

    @property
    def smtp(self) -> SmtpAddress:
        """The mail server that `SMTP_URL` names."""
        return smtp_address(self.smtp_url)


AnySettings = TypeVar("AnySettings", bound=Settings)


def load(kind: type[AnySettings]) -> AnySettings:
    """Read settings of this kind from the environment, then from a running demo's addresses.

    Raises:
        BadSettings: when values cannot be used; its message lists all of them at once.

    """
    try:
        state_dir = _StateDir().state_dir
        return kind(_env_file=state_dir / ADDRESSES_FILE)
    except ValidationError as error:
        raise BadSettings(explain(error)) from None


@cache
def framework_settings() -> Settings:
    """Return the framework's settings, read once for the whole process."""
    return load(Settings)


def explain(error: ValidationError) -> str:
    """One line for each bad setting: its name, what is wrong, what it is for."""
    lines = ["These settings cannot be used:"]
    for fault in error.errors(include_url=False, include_input=False):
        name = str(fault["loc"][0]) if fault["loc"] else "settings"
        what = fault["msg"].removeprefix("Value error, ")
        lines.append(f"  {name.upper()}: {what}")
    lines.append("Change or unset them in the environment, and start again.")
    return "\n".join(lines)


def _is_redis(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return bool(parts.scheme in _REDIS_SCHEMES and parts.hostname and parts.port != 0)
    except ValueError:
        # Python's message would repeat the user name and the password.
        return False


class _StateDir(BaseSettings):
    """The one setting that tells where to look for others."""

    model_config = SettingsConfigDict(extra="ignore")
    state_dir: Path = Path(".local")
