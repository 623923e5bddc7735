"""Who may look, and who may change things.

Logins are those of `MONITOR_OPERATORS` and `MONITOR_READERS`, by HTTP's basic authentication.
Without any, whoever reaches Flower may do everything, and so it listens on this machine only.
"""

import hmac
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address

from config.monitor import MonitorSettings

LOOPBACK_NAMES = ("localhost",)


@dataclass(frozen=True)
class User:
    """Somebody who is let in."""

    name: str
    may_operate: bool


NO_LOGIN = User("this machine", may_operate=True)
"""Who looks when there is no login."""


class Access:
    """The logins."""

    def __init__(self, settings: MonitorSettings) -> None:
        self._users = [
            *_users(settings.operators, may_operate=True),
            *_users(settings.readers, may_operate=False),
        ]

    @property
    def has_login(self) -> bool:
        """Tell whether one must say who one is."""
        return bool(self._users)

    def user_of(self, authorization: str | None) -> User | None:
        """Return who sends this header; None for somebody who is not let in.

        It takes as long for a wrong name as for a wrong password.
        """
        if not self._users:
            return NO_LOGIN
        given = sha256(_basic(authorization)).digest()
        found = [user for user, digest in self._users if hmac.compare_digest(digest, given)]
        return found[0] if found else None


def is_loopback(host: str) -> bool:
    """Tell whether this address or name means this machine alone."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in LOOPBACK_NAMES


def _users(logins: Mapping[str, str], *, may_operate: bool) -> list[tuple[User, bytes]]:
    return [
        (User(name, may_operate), sha256(f"{name}:{password}".encode()).digest())
        for name, password in logins.items()
    ]


def _basic(authorization: str | None) -> bytes:
    scheme, _, encoded = (authorization or "").partition(" ")
    try:
        return b64decode(encoded) if scheme.lower() == "basic" else b""
    except ValueError:
        return b""
