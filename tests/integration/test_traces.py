"""One trace from a web request to what its jobs call, over real processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks import carried
from tasks.broker.bulk import publish_many
from tasks.celery import app
from tasks.outbox.enqueue import new_row
from tasks.outbox.publishing import job_of
from tasks.outbox.rows import Outgoing
from tests.integration.sandboxes import ErpProcess, MailProcess
from tests.support.collector import Collector, Span
from tests.support.store import ADA, StoreProcess, item
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

MAIL = ADA["email"]


def test_one_trace_leads_from_the_order_to_the_call_of_the_erp(
    valkey: Valkey, tmp_path: Path
) -> None:
    with Collector() as collector, ErpProcess(tmp_path) as erp, MailProcess(tmp_path) as mail:
        broker = f"{valkey.url.rpartition('/')[0]}/7"
        env = {
            "BROKER_URL": broker,
            "STATE_DIR": str(tmp_path),
            "ERP_URL": erp.url,
            "SMTP_URL": f"smtp://{mail.address.host}:{mail.address.port}",
            "TRACES_URL": collector.url,
        }
        spans = spans_of_an_order(collector, env, tmp_path)
    by_id = {span.span_id: span for span in spans}
    call = next(span for span in spans if is_sale(span))
    above = [call]
    while above[-1].parent_id in by_id:
        above.append(by_id[above[-1].parent_id])
    names = [span.name for span in above]
    assert "run/orders.record_sale" in names
    assert "apply_async/orders.record_sale" in names
    assert names[-1] == "POST /api/orders"
    assert {"celery", "httpx", "fastapi", "sqlalchemy"} <= {span.scope for span in spans}
    assert not any(MAIL in span.text for span in collector.spans)


def spans_of_an_order(collector: Collector, env: dict[str, str], directory: Path) -> list[Span]:
    """Place an order, and return the spans of its trace when its sale was recorded."""

    def trace() -> list[Span]:
        found = [span for span in collector.spans if span.name == "POST /api/orders"]
        return [span for span in collector.spans if found and span.trace_id == found[0].trace_id]

    def is_whole() -> bool:
        spans = trace()
        has_job = any(span.name == "run/orders.record_sale" for span in spans)
        return has_job and any(map(is_sale, spans))

    with (
        StoreProcess(directory, env) as store,
        start_worker(directory / "worker.log", broker_url=env["BROKER_URL"], env=env),
        store.client() as http,
    ):
        body = {"customer": ADA, "items": [item("press-pot")]}
        http.post("/api/orders", json=body).raise_for_status()
        wait_for(is_whole, "the order's trace, down to the ERP")
    return trace()


def is_sale(span: Span) -> bool:
    return span.scope == "httpx" and "/sales" in span.text


@pytest.fixture
def carry() -> Iterator[list[Any]]:
    """Something that takes a header when a job is enqueued, and sees it when it is published."""
    seen: list[Any] = []

    def take(headers: dict[str, str]) -> None:
        headers["traceparent"] = "00-abc"

    @contextmanager
    def restore(headers: Any) -> Iterator[None]:  # noqa: ANN401 (any mapping)
        seen.append(headers.get("traceparent"))
        yield
        seen.append("left")

    carried.takers.append(take)
    carried.restorers.append(restore)
    yield seen
    carried.takers.remove(take)
    carried.restorers.remove(restore)


def test_what_a_row_of_the_outbox_carries_is_in_force_while_it_is_published(
    valkey: Valkey, carry: list[Any]
) -> None:
    row = new_row("tests.add", {"first": 1, "second": 2}, queue="traces-tests")
    values: Any = {name: row[name] for name in Outgoing.__dataclass_fields__}  # type: ignore[literal-required] # some of the row's
    publish_many(app, [job_of(Outgoing(**values))])
    assert carry == ["00-abc", "left"]
    (message,) = valkey.client.lrange("traces-tests", 0, -1)
    assert b'"traceparent": "00-abc"' in message
    valkey.client.delete("traces-tests", "traces-tests.bell")
