"""The settings, typed and frozen. Nothing else in the project reads the environment.

Every setting is optional; with none set, everything lives on this machine, below `STATE_DIR`.
A project that takes `config/` along adds settings of its own in a subclass and reads them with
`load`, as `checkout_demo/settings.py` does.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from config.addresses import SmtpAddress, mailbox, smtp_address

# Who reads a URL from the settings finds here what takes it apart.
from config.addresses import credentials as credentials  # noqa: PLC0414 (mypy's mark of an export)
from config.addresses import without_password as without_password  # noqa: PLC0414 (likewise)
from config.reading import BadSettings as BadSettings  # noqa: PLC0414 (likewise)
from config.reading import Readable, above, at_least, at_most, read, setting
from config.secret import SecretStr

ADDRESSES_FILE = "addresses.env"
"""Where a running demo writes the addresses of what it started, below `STATE_DIR`.

A worker or a shell that is started by hand while the demo runs finds them there and joins it.
"""

_STATE_DIR = ".local"
_REDIS_SCHEMES = ("redis", "rediss", "sentinel")


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


@dataclass(frozen=True, kw_only=True)
class Settings(Readable):
    """What the framework needs to know. The field's name in capitals is the variable's name."""

    broker_url: SecretStr = setting(
        SecretStr("redis://127.0.0.1:6379/0"), "Redis or Valkey that holds the queues", redis_url
    )
    result_backend_url: SecretStr | None = setting(
        None, "Redis or Valkey that holds states and data; the broker when not set", redis_url
    )
    sentinel_master: str = setting("mymaster", "the master's name, where the URL names Sentinels")
    state_dir: Path = setting(Path(_STATE_DIR), "directory for everything kept on disk")

    result_expires: int = setting(
        86_400, "seconds a Complete or Cancelled job's state is kept", at_least(60)
    )
    result_failure_expires: int = setting(
        7 * 86_400, "seconds a Failed job's state is kept", at_least(60)
    )

    publish_timeout: float = setting(
        1, "seconds that a publish or a status may wait for a dead server", above(0), at_most(60)
    )
    lease: float = setting(
        10, "seconds after which a dead worker's jobs are taken back", at_least(1), at_most(3_600)
    )
    delivery_limit: int = setting(
        3, "workers that may die over a job until it is given up", at_least(1), at_most(100)
    )
    quarantine_limit: int = setting(
        10_000, "messages kept in quarantine; the oldest make room", at_least(1)
    )
    failed_jobs_max: int = setting(100_000, "failed jobs kept; the oldest make room", at_least(1))
    failed_jobs_max_age: int = setting(30 * 86_400, "seconds a failed job is kept", at_least(60))

    outbox_keep: int = setting(
        7 * 86_400, "seconds a finished row of the outbox is kept", at_least(60)
    )

    traces_url: str | None = setting(
        None, "where spans go, OTLP over HTTP; no spans are made when not set", traces_address
    )
    job_log_lines: int = setting(
        100, "log lines that are kept of each job; 0 for none", at_least(0), at_most(10_000)
    )
    worker_max_memory_mb: int = setting(
        1_024, "MB that a process of the prefork pool may grow to; 0 for any", at_least(0)
    )
    event_jobs_max: int = setting(
        50, "jobs a second that each worker sends events of, to Flower", at_least(0)
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting(
        "INFO", "least severe line that is logged"
    )
    log_format: Literal["console", "json"] = setting(
        "console", "console for people, json for a log collector"
    )

    mask: str = setting(
        "email,token,password,secret,authorization,card",
        "words in names whose values are shown nowhere, with commas; none for none",
    )
    audit_limit: int = setting(
        10_000, "changes by operators that are kept; the oldest make room", at_least(100)
    )

    smtp_url: SecretStr = setting(
        SecretStr("smtp://127.0.0.1:8025"), "mail server; user and password allowed", smtp_url
    )
    mail_from: str = setting(
        "Expresslane <expresslane@example.com>", "sender of the mails that jobs send", sender
    )
    fetch_private_addresses: bool = setting(
        False, "let the sample jobs fetch from loopback and private networks"
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
    # `BROKER_URL= make demo` means: as if it were not set.
    environment = {name: text for name, text in os.environ.items() if text}
    state_dir = Path(environment.get("STATE_DIR", _STATE_DIR))
    return read(kind, {**_addresses_in(state_dir / ADDRESSES_FILE), **environment})


@cache
def framework_settings() -> Settings:
    """Return the framework's settings, read once for the whole process."""
    return load(Settings)


def _addresses_in(file: Path) -> Mapping[str, str]:
    """Read lines of NAME='value'; no file is an empty one."""
    try:
        lines = file.read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    pairs = [line.partition("=") for line in lines]
    return {name.strip(): text.strip().strip("'") for name, _, text in pairs}


def _is_redis(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return bool(parts.scheme in _REDIS_SCHEMES and parts.hostname and parts.port != 0)
    except ValueError:
        # Python's message would repeat the user name and the password.
        return False
