"""The apps that the pages can show: this one, and one for each broker of `MONITOR_BROKERS`.

Only the pages of this package follow the choice. Flower's own (workers, tasks, broker) show the app
that it was started for.
"""

from celery import Celery

from config.monitor import MonitorSettings
from config.secret import SecretStr
from config.settings import without_password
from tasks.app import App

OWN = "own"
"""The name of the app that Flower was started for."""


class Brokers:
    """The apps by the names of their brokers."""

    def __init__(self, own: Celery, settings: MonitorSettings) -> None:
        others = settings.other_brokers
        self.own_url = settings.broker_url
        """The own broker's address, with its password: never show it."""
        self._apps = {OWN: own, **{name: _app(url) for name, url in others.items()}}
        self._addresses = {name: without_password(url) for name, url in others.items()}
        self._addresses[OWN] = without_password(settings.broker_url)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, the own one first."""
        return tuple(self._apps)

    def app(self, name: str) -> Celery:
        """Return the app of this broker.

        Raises:
            KeyError: when the settings name none so.

        """
        return self._apps[name]

    def address(self, name: str) -> str:
        """Return the broker's address without its password."""
        return self._addresses[name]


def _app(url: SecretStr) -> App:
    """Return an app like ours at another broker, which keeps its results there too."""
    app = App("expresslane", task_cls="tasks.job:Job", set_as_current=False)
    app.config_from_object("celeryconfig")
    address = url.get_secret_value()
    backend = "Sentinel" if address.startswith("sentinel") else ""
    app.conf.update(
        # This app is shown nowhere, so its addresses may hold their passwords.
        broker_url=address,
        # `celery` itself puts BROKER_URL where it goes before `broker_url`, for all apps.
        broker_read_url=address,
        broker_write_url=address,
        broker_transport=f"tasks.broker.transport:{backend}Transport",
        result_backend=f"tasks.results:{backend}ResultBackend+{address}",
        redis_backend_credential_provider=None,
    )
    return app
