"""The store's sandboxes as the tests start them: real processes on free ports."""

import sys
from pathlib import Path

import httpx

from config.addresses import SmtpAddress
from tests.support.programs import Program, free_port
from tests.support.waiting import wait_for


class ErpProcess(Program):
    """The ERP sandbox, with its data in this directory."""

    def __init__(self, state_dir: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        super().__init__(
            [sys.executable, "-m", "checkout_demo.sandbox.erp"],
            log=state_dir / "erp.log",
            env={"STATE_DIR": str(state_dir), "ERP_PORT": str(port), "LOG_FORMAT": "json"},
        )
        wait_for(self._answers, "a healthy ERP sandbox", doing=self.check_alive)

    def client(self) -> httpx.Client:
        """Return an HTTP client for it, to be closed by the caller."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=30)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", trust_env=False).is_success
        except httpx.TransportError:
            return False


class MailProcess(Program):
    """The mail sandbox, with its mails in this directory."""

    def __init__(self, state_dir: Path, *, latency_ms: int = 0) -> None:
        self.address = SmtpAddress("127.0.0.1", free_port())
        self.mail_dir = state_dir / "mail"
        super().__init__(
            [sys.executable, "-m", "checkout_demo.sandbox.mail"],
            log=state_dir / "mail.log",
            env={
                "STATE_DIR": str(state_dir),
                "SMTP_PORT": str(self.address.port),
                "MAIL_LATENCY_MS": str(latency_ms),
            },
        )
        self.wait_until_listening(self.address.port)
