"""What the demo says: where to click, what to try, and what its jobs are doing."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from checkout_demo.readiness import Service
from checkout_demo.settings import StoreSettings

_LOOK_SECONDS = 0.2
"""How often the logs are looked at for new lines: at once, for a person."""


def introduce(settings: StoreSettings, services: list[Service], console: Console) -> None:
    """Print the addresses and what to try."""
    base = f"http://127.0.0.1:{settings.store_port}"
    rows = {
        "Store": f"{base}/",
        "Jobs to play with": f"{base}/demo",
        "Received mail": f"{base}/inbox",
        "Effects of orders": f"{base}/operator/effects",
        "Flower": f"http://127.0.0.1:{settings.flower_port}/",
    }
    rows |= {s.name: f"http://127.0.0.1:{s.port}/docs" for s in services if s.name == "ERP sandbox"}
    table = Table.grid(padding=(0, 2))
    for name, address in rows.items():
        table.add_row(f"  {name}", address)
    console.print("\nThe store is open.\n")
    console.print(table)
    console.print("\nBuy something, and watch its mail, sale and stock follow. From a terminal:\n")
    console.print("  make demo-order")
    if "ERP sandbox" in rows:
        erp = f"http://127.0.0.1:{settings.erp_port}/faults"
        console.print(
            "\nSwitch the ERP down, buy again, and watch the jobs retry; then up again:\n"
        )
        for down in ("true", "false"):
            fault = f"-H 'Content-Type: application/json' -d '{{\"down\": {down}}}'"
            console.print(f"  curl -X PUT {erp} {fault}", soft_wrap=True)
    console.print(f"\nLogs: {settings.state_dir / 'log'}. Ctrl-C stops everything.\n")


def follow(logs: Path, supervisor: subprocess.Popen[bytes], console: Console) -> None:
    """Print what happens to jobs and programs, until the supervisor ends."""
    tails = [_new_lines(logs / "worker.log"), _new_lines(logs / "supervisord.log")]
    while supervisor.poll() is None:
        for tail in tails:
            for line in next(tail):
                if _is_news(line):
                    console.print(line, soft_wrap=True, markup=False)
        time.sleep(_LOOK_SECONDS)


def _is_news(line: str) -> bool:
    """Tell whether the line is about a job, or about a program that died or came back."""
    return "job_id=" in line or " exited: " in line or " spawned: " in line


def _new_lines(path: Path) -> Iterator[list[str]]:
    """Yield, each time it is asked, the whole lines that were added since the last time."""
    position = path.stat().st_size if path.exists() else 0
    rest = ""
    while True:
        text = ""
        if path.exists():
            if path.stat().st_size < position:
                # supervisord has begun a new file.
                position = 0
            with path.open(errors="replace") as file:
                file.seek(position)
                text = file.read()
                position = file.tell()
        *lines, rest = (rest + text).split("\n")
        yield lines
