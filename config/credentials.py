"""User names and passwords of the servers, handed to redis-py only when it connects.

So `app.conf` holds addresses without secrets, and whatever shows it (Flower, `celery report`,
`inspect conf`, a worker's banner) can show no password.
"""

import os

from redis.credentials import CredentialProvider

from config.secret import SecretStr
from config.settings import credentials, framework_settings


def drop_celerys_copy(broker_url: SecretStr) -> None:
    """Have Celery use what `celeryconfig.py` says, where it has found `BROKER_URL` by itself.

    The `celery` command takes that variable for its option `--broker`, which goes before the
    configuration: with the password, and with all the Sentinels in one URL.
    """
    if os.environ.get("CELERY_BROKER_URL") == broker_url.get_secret_value():
        del os.environ["CELERY_BROKER_URL"]


class BrokerCredentials(CredentialProvider):
    """The user name and the password that `BROKER_URL` holds."""

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return (password,) or (user name, password), as redis-py wants them."""
        return _pair(*credentials(framework_settings().broker_url))


class ResultBackendCredentials(CredentialProvider):
    """The user name and the password that `RESULT_BACKEND_URL` holds."""

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return (password,) or (user name, password), as redis-py wants them."""
        return _pair(*credentials(framework_settings().results))


def _pair(user: str | None, password: str | None) -> tuple[str] | tuple[str, str]:
    return (user, password or "") if user else (password or "",)
