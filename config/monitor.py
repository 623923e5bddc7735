"""The settings of the pages that Flower shows: who may see them, who may change things."""

from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote

from config.reading import setting
from config.secret import SecretStr
from config.settings import Settings, load, redis_url

_LOGIN_FORM = (
    "write name:password, more of them with commas; a comma in a password as %2C, % as %25"
)
_BROKER_FORM = (
    "write name=redis://host:port/db, more of them with commas; names of a-z, 0-9, - and _"
)

Logins = dict[str, str]
"""Passwords by user name."""


def _pairs(value: SecretStr, separator: str) -> list[tuple[str, str]]:
    parts = [part.strip() for part in value.get_secret_value().split(",")]
    split = [part.partition(separator) for part in parts if part]
    return [(name.strip(), rest) for name, _, rest in split]


def logins(value: SecretStr) -> SecretStr:
    """Check that this is a list of `name:password`.

    Raises:
        ValueError: if it is not; the message never repeats the value.

    """
    pairs = _pairs(value, ":")
    if not all(name and password for name, password in pairs):
        raise ValueError(_LOGIN_FORM)
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands there twice")
    return value


def brokers(value: SecretStr) -> SecretStr:
    """Check that this is a list of `name=redis://...`.

    Raises:
        ValueError: if it is not; the message never repeats the value.

    """
    pairs = _pairs(value, "=")
    if not all(name and name.replace("-", "").replace("_", "").isalnum() for name, _ in pairs):
        raise ValueError(_BROKER_FORM)
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands there twice")
    for name, url in pairs:
        try:
            redis_url(SecretStr(url))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return value


@dataclass(frozen=True, kw_only=True)
class MonitorSettings(Settings):
    """What Flower needs to know on top of the framework's settings."""

    monitor_operators: SecretStr = setting(
        SecretStr(""), "who may look and change things, as name:password,...", logins
    )
    monitor_readers: SecretStr = setting(
        SecretStr(""), "who may only look, as name:password,...", logins
    )
    monitor_brokers: SecretStr = setting(
        SecretStr(""), "other apps' brokers to show, as name=redis://...,...", brokers
    )
    flower_unauthenticated_api: bool = setting(
        False, "Flower's own switch, which lets everybody use its API"
    )

    @property
    def operators(self) -> Logins:
        """Passwords of those who may change things."""
        return {name: unquote(word) for name, word in _pairs(self.monitor_operators, ":")}

    @property
    def readers(self) -> Logins:
        """Passwords of those who may look."""
        return {name: unquote(word) for name, word in _pairs(self.monitor_readers, ":")}

    @property
    def other_brokers(self) -> dict[str, SecretStr]:
        """Addresses of the brokers beside the app's own, by name."""
        return {name: SecretStr(url) for name, url in _pairs(self.monitor_brokers, "=")}

    def check_together(self) -> None:
        """Refuse one name for both, and Flower's own switch."""
        if self.operators.keys() & self.readers.keys():
            raise ValueError("MONITOR_READERS has a name that is in MONITOR_OPERATORS, too")
        if self.flower_unauthenticated_api:
            raise ValueError(
                "FLOWER_UNAUTHENTICATED_API would let any web page that somebody visits work on "
                "the queues; unset it, and use the API with a login from MONITOR_OPERATORS"
            )


@cache
def monitor_settings() -> MonitorSettings:
    """Return the monitor's settings, read once for the whole process."""
    return load(MonitorSettings)
