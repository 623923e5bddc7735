"""The store for `burst`: its own programs, with an ERP and a mail server that take their time."""

from pathlib import Path

import httpx

from tests.storefaults.world import Kind, Part, World
from tests.support.programs import Program

ERP_MS = 500
MAIL_MS = 300

WORKER = ("-Q", "high,default,low", "--pool", "threads", "--concurrency", "20")
"""As the store's own, in `Procfile`. Mail and HTTP are waiting for the most part."""


class Shop(World):
    """One web server, one worker, one relay, as `make demo` has them; the lease is the default.

    Args:
        directory: where it keeps everything.
        kind: its database.
        mode: its `CHECKOUT_MODE`.
        threads: requests that the web server handles at a time.
        erp_ms: milliseconds that the ERP takes for a call.
        mail_ms: milliseconds that the mail server takes for a mail.

    """

    def __init__(
        self, directory: Path, kind: Kind, mode: str, *, threads: int, erp_ms: int, mail_ms: int
    ) -> None:
        self._more = {
            "CHECKOUT_MODE": mode,
            "SHOP_THREADS": str(threads),
            "MAIL_LATENCY_MS": str(mail_ms),
            "LOG_LEVEL": "WARNING",
            # What a call may take under load, as the store has it by default.
            "ERP_TIMEOUT": "5",
            "SMTP_TIMEOUT": "10",
        }
        super().__init__(directory, kind, lease=10, webs=1, workers=1, relays=1)
        slow = {"latency_ms": erp_ms}
        httpx.put(f"{self.erp_url}/faults", json=slow, trust_env=False).raise_for_status()

    @property
    def port(self) -> int:
        """Where the store is open."""
        return self.web_ports[0]

    def _web(self, port: int) -> Part:
        env = {"STORE_PORT": str(port)}
        return Part("web", lambda: self._python("web", "benchmarks.shop_web", **env))

    def _start_worker(self) -> Program:
        # Its line " ready." is one of INFO.
        return self._python("worker", "tasks", "worker", *WORKER, LOG_LEVEL="INFO")

    def _start_relay(self) -> Program:
        return self._python("relay", "tasks", "outbox", "relay", LOG_LEVEL="INFO")

    def _python(self, log: str, *argv: str, **env: str) -> Program:
        return super()._python(log, *argv, **{**self._more, **env})
