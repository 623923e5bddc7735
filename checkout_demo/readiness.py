"""Wait until every part of the demo works, and show which ones are still coming."""

import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from rich.console import Console

from checkout_demo.settings import StoreSettings
from tasks import scheduler
from tasks.errors import Unreachable

PATIENCE = 90.0
"""Seconds until the demo gives up. On a slow laptop all is there after some fifteen."""


class NotReady(Exception):
    """Some parts did not come up. The message names them and where to read why."""


@dataclass(frozen=True)
class Service:
    """A part of the demo that listens on a port."""

    name: str
    variable: str
    port: int
    health_url: str | None = None

    def is_listening(self) -> bool:
        """Tell whether somebody accepts connections on the port."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def is_ready(self) -> bool:
        """Tell whether the service does its work."""
        if self.health_url is None:
            return self.is_listening()
        try:
            return httpx.get(self.health_url, timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False


def wait_until_ready(
    settings: StoreSettings,
    services: list[Service],
    supervisor: subprocess.Popen[bytes],
    console: Console,
) -> None:
    """Return when the services answer and a worker consumes.

    Raises:
        NotReady: when some do not within `PATIENCE` seconds, or the supervisor ended.

    """
    coming: dict[str, Callable[[], bool]] = {service.name: service.is_ready for service in services}
    coming["worker"] = _a_worker_answers
    end = time.monotonic() + PATIENCE
    with console.status("Starting ...") as line:
        while coming:
            line.update(f"Starting: waiting for {', '.join(coming)} ...")
            for name in [name for name, is_ready in coming.items() if is_ready()]:
                console.print(f"  ready: {name}")
                del coming[name]
            if coming and (supervisor.poll() is not None or time.monotonic() > end):
                logs = settings.state_dir / "log"
                raise NotReady(f"Not ready: {', '.join(coming)}. The logs say why: {logs}")
            time.sleep(0.2 if coming else 0)


def _a_worker_answers() -> bool:
    try:
        return any(scheduler.workers())
    except Unreachable:
        return False
