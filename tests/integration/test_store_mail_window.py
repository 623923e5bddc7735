"""The one window in which a mail can repeat: after the server's 250, before the job's commit."""

import asyncio
import threading
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from checkout_demo import ledger
from tests.integration.erp_calls import left, sales_of
from tests.integration.sandboxes import ErpProcess
from tests.integration.smtp_desk import Desk, server
from tests.support.store import ADA, StoreProcess, item
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker


class SlowDesk(Desk):
    """Accepts each mail at once, and says good-bye only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go = threading.Event()

    async def handle_QUIT(  # noqa: N802 (aiosmtpd looks for this name)
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        await asyncio.to_thread(self.may_go.wait)
        return await super().handle_QUIT(server, session, envelope)


@pytest.fixture
def erp(tmp_path: Path) -> Iterator[ErpProcess]:
    with ErpProcess(tmp_path) as process:
        yield process


def test_a_worker_that_dies_between_the_250_and_its_commit_repeats_the_mail_and_nothing_else(
    valkey: Valkey, erp: ErpProcess, tmp_path: Path
) -> None:
    desk = SlowDesk()
    with server(desk) as smtp:
        env = {
            "STATE_DIR": str(tmp_path),
            "BROKER_URL": f"{valkey.url.rpartition('/')[0]}/4",
            "ERP_URL": erp.url,
            "SMTP_URL": f"smtp://{smtp.host}:{smtp.port}",
            # The worker waits for the good-bye until it is killed.
            "SMTP_TIMEOUT": "120",
            "LEASE": "1",
        }
        with StoreProcess(tmp_path, env) as store, store.client() as http, erp.client() as books:
            stock = left(books)
            worker = start_worker(tmp_path / "first.log", broker_url=env["BROKER_URL"], env=env)
            body = {"customer": ADA, "items": [item("press-pot", 2)]}
            placed = http.post("/api/orders", json=body).json()
            receipt, *others = (job["job_id"] for job in placed["jobs"])

            def done(job_id: str) -> bool:
                return ledger.entry(store.database, job_id).effect.done_at is not None

            wait_for(lambda: all(map(done, others)), "the sale and the stock")
            wait_for(lambda: desk.accepted, "the server to have the mail")
            # The server has said 250, and nobody has written that down.
            assert not done(receipt)
            worker.kill()
            worker.process.wait()
            desk.may_go.set()
            with start_worker(tmp_path / "next.log", broker_url=env["BROKER_URL"], env=env):
                wait_for(lambda: done(receipt), "the receipt")
            mails = [
                message_from_bytes(bytes(envelope.original_content or b""))
                for envelope in desk.accepted
            ]
            assert [mail["Message-ID"] for mail in mails] == [
                f"<{receipt}@expresslane.example>"
            ] * 2
            assert mails[0].as_bytes() == mails[1].as_bytes()
            assert len(sales_of(books, placed["order_id"])) == 1
            assert left(books) == stock - 2
            rows = [ledger.entry(store.database, job_id).row for job_id in (receipt, *others)]
            assert [row.attempts for row in rows if row] == [2, 1, 1]
