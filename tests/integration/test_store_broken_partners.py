"""The store while its ERP and its mail server hang, refuse, or answer garbage."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from checkout_demo import ledger
from checkout_demo.ledger import EffectState, Entry
from tests.integration.smtp_desk import Desk, server
from tests.support.programs import Program
from tests.support.silent import Silent
from tests.support.store import ADA, StoreProcess, item
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

ORDER = {"customer": ADA, "items": [item("press-pot")]}

HANGS = "60"
"""Seconds that a job waits for a partner: three times what a request to the store gets here."""

NO_WAIT = 20.0


class Garbage(http.server.BaseHTTPRequestHandler):
    """Answers each POST with 200 and what is no JSON."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Our ERP is being moved to a better place")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's)
        """Say nothing."""


@contextmanager
def garbage() -> Iterator[str]:
    """Run an ERP that answers garbage; yield its address."""
    erp = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Garbage)
    thread = threading.Thread(target=erp.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{erp.server_port}"
    finally:
        erp.shutdown()
        thread.join()
        erp.server_close()


@contextmanager
def shop(
    valkey: Valkey, directory: Path, database: int, erp_url: str, smtp_url: str
) -> Iterator[tuple[StoreProcess, httpx.Client, Program]]:
    env = {
        "STATE_DIR": str(directory),
        "BROKER_URL": f"{valkey.url.rpartition('/')[0]}/{database}",
        "ERP_URL": erp_url,
        "SMTP_URL": smtp_url,
        "ERP_TIMEOUT": HANGS,
        "SMTP_TIMEOUT": HANGS,
    }
    log = directory / "worker.log"
    with (
        StoreProcess(directory, env) as store,
        start_worker(log, broker_url=env["BROKER_URL"], env=env) as worker,
        store.client(Accept="text/html", Origin=store.url) as client,
    ):
        yield store, client, worker


def test_a_checkout_waits_for_no_partner_that_hangs(valkey: Valkey, tmp_path: Path) -> None:
    with Silent() as erp, Silent() as mail:
        urls = f"http://127.0.0.1:{erp.port}", f"smtp://127.0.0.1:{mail.port}"
        with shop(valkey, tmp_path, 5, *urls) as (_, http, worker):
            http.post("/api/orders", json=ORDER, timeout=NO_WAIT).raise_for_status()
            wait_for(lambda: erp.accepted and mail.accepted, "two jobs to hang")
            placed = http.post("/api/orders", json=ORDER, timeout=NO_WAIT)
            assert placed.status_code == 201
            page = http.get(placed.json()["url"], timeout=NO_WAIT).text
            assert "3 waiting." in page
            # It would wait for its jobs, and they for their partners.
            worker.kill()


def test_a_refusal_and_garbage_are_for_the_operator_and_a_mended_effect_is_replayed(
    valkey: Valkey, tmp_path: Path
) -> None:
    desk = Desk(data="554 5.7.1 not from you")
    with garbage() as erp_url, server(desk) as smtp:
        smtp_url = f"smtp://{smtp.host}:{smtp.port}"
        with shop(valkey, tmp_path, 6, erp_url, smtp_url) as (store, http, _):
            placed = http.post("/api/orders", json=ORDER).json()
            receipt, sale, _ = (job["job_id"] for job in placed["jobs"])

            def look(job_id: str) -> Entry:
                return ledger.entry(store.database, job_id)

            def error(job_id: str) -> str:
                row = look(job_id).row
                return (row.error if row else None) or ""

            wait_for(lambda: look(receipt).state is EffectState.FAILED, "the refused mail")
            wait_for(lambda: "not the JSON expected" in error(sale), "an attempt with garbage")
            assert "554, 5.7.1 not from you" in error(receipt)
            assert look(sale).state is EffectState.TRYING
            page = http.get(placed["url"]).text
            assert "not from you" not in page
            assert "JSON" not in page
            desk.answers["data"] = "250 OK"
            desk.accepted.clear()
            http.post(f"/operator/effects/{receipt}/replays")
            wait_for(lambda: look(receipt).state is EffectState.DONE, "the mended mail")
            assert len(desk.accepted) == 1
