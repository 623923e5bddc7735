"""The whole demo, as `make demo` starts it, on ports of the test's own."""

import os
import signal
from pathlib import Path

import httpx

from tests.support.programs import Program, free_port
from tests.support.waiting import wait_for

PORTS = ("STORE_PORT", "ERP_PORT", "SMTP_PORT", "FLOWER_PORT")


class Demo(Program):
    """A running demo with its data in a directory of its own."""

    def __init__(self, state_dir: Path, log: Path, env: dict[str, str] | None = None) -> None:
        ports = {name: str(free_port()) for name in PORTS}
        self.env = {**ports, "STATE_DIR": str(state_dir), **without_broker(), **(env or {})}
        self.state_dir = state_dir
        self.store = f"http://127.0.0.1:{self.env['STORE_PORT']}"
        self.erp = f"http://127.0.0.1:{self.env['ERP_PORT']}"
        self.flower = f"http://127.0.0.1:{self.env['FLOWER_PORT']}"
        # As from a script: what a shell puts in the background ignores SIGINT.
        script = "trap '' INT; exec make --no-print-directory demo"
        super().__init__(["bash", "-c", script], log=log, env=self.env)

    def wait_until_open(self) -> "Demo":
        """Wait until the demo says that one may use it."""
        self.wait_until_printed("The store is open.")
        return self

    def order(self, sku: str, quantity: int = 1, key: str | None = None) -> dict[str, object]:
        """Place an order through the API, and return the store's answer."""
        body = {
            "customer": {"name": "Ada", "email": "ada@example.com"},
            "items": [{"sku": sku, "quantity": quantity}],
        }
        headers = {"Idempotency-Key": key} if key else {}
        answer = httpx.post(f"{self.store}/api/orders", json=body, headers=headers, timeout=30)
        found: dict[str, object] = answer.raise_for_status().json()
        return found

    def get(self, url: str) -> object:
        """Return what the store answers to a GET, as JSON."""
        return httpx.get(httpx.URL(self.store).join(url), timeout=30).json()

    def pid_of(self, name: str) -> int:
        """Return the process id that supervisord has given to a program of the demo last."""
        log = (self.state_dir / "log" / "supervisord.log").read_text()
        spawned = [line for line in log.splitlines() if f"spawned: '{name}' with pid" in line]
        return int(spawned[-1].rsplit(" ", 1)[1])

    def stop(self) -> int:
        """End it as Ctrl-C does; what is left of it then is killed."""
        supervisor = self.state_dir / "supervisord.pid"
        pid = int(supervisor.read_text()) if supervisor.exists() else None
        code = self.process.poll()
        if code is None:
            # A terminal sends it to make and to all that make has started.
            self.kill(signal.SIGINT)
            code = self.process.wait(60)
        if pid is not None:
            wait_for(lambda: not is_running(pid), "the end of supervisord")
        return code


def without_broker() -> dict[str, str]:
    """Return what hides the tests' own broker from a program: an empty value is no value."""
    return {"BROKER_URL": ""}


def is_running(pid: int) -> bool:
    """Tell whether a process of this id exists and is more than a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/status")
    return not (status.exists() and "State:\tZ" in status.read_text())
