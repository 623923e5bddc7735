"""Which jobs a worker sends events of."""

from time import monotonic
from typing import Any

import pytest

from tasks import events
from tasks.celery import app
from tasks.events import Allowance, EventDispatcher
from tasks.history.recorder import recorder

TYPES = ("task-received", "task-started", "task-succeeded")


def test_an_allowance_is_so_many_a_second_and_a_burst_after_a_rest() -> None:
    allowance = Allowance(10, now=0.0)
    assert sum(allowance.take(0.0) for _ in range(100)) == 20
    assert sum(allowance.take(1.0) for _ in range(100)) == 10
    assert sum(allowance.take(60.0) for _ in range(100)) == 20


def test_an_allowance_of_none_lets_nothing_through() -> None:
    assert not Allowance(0, now=0.0).take(60.0)


class Sink(EventDispatcher):
    """A dispatcher whose messages can be looked at; its thread is not started."""

    def __init__(self) -> None:
        self.sent: list[tuple[list[dict[str, Any]], str]] = []
        self.is_away = False
        super().__init__(app.connection_for_write(), app=app, enabled=False)
        self.enabled, self._closed = True, False

    def _start_sender(self) -> None:
        """Send when the test says so."""

    def _publish(
        self, event: list[dict[str, Any]], _: object, routing_key: str, **__: object
    ) -> None:
        if self.is_away:
            self._outbound_buffer.append((event, routing_key))
        else:
            self.sent.append((event, routing_key))


@pytest.fixture
def sink() -> Sink:
    return Sink()


def run_jobs(sink: Sink, number: int) -> None:
    for job in range(number):
        for kind in TYPES:
            sink.send(kind, uuid=str(job), name="shop.pay")


def test_events_of_jobs_go_together_in_order_and_are_masked(sink: Sink) -> None:
    sink.send("task-received", uuid="1", kwargs="{'token': 'abc'}")
    sink.send("task-succeeded", uuid="1", result="ada@example.com")
    sink.flush()
    ((batch, key),) = sink.sent
    assert key == "task.multi"
    assert [event["type"] for event in batch] == ["task-received", "task-succeeded"]
    assert batch[0]["clock"] < batch[1]["clock"]
    assert "abc" not in str(batch)
    assert "ada@" not in str(batch)


def test_under_load_jobs_are_left_out_whole(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "_allowance", Allowance(5, now=monotonic()))
    counted: list[str] = []
    monkeypatch.setattr(recorder, "count", counted.append)
    run_jobs(sink, 1_000)
    sink.flush()
    sent = [event for batch, _ in sink.sent for event in batch]
    by_job = {event["uuid"]: 0 for event in sent}
    for event in sent:
        by_job[event["uuid"]] += 1
    assert set(by_job.values()) == {len(TYPES)}
    assert 10 <= len(by_job) < 1_000
    assert counted == ["jobs_without_events"] * (1_000 - len(by_job))


def test_a_broker_that_is_away_costs_no_memory(sink: Sink) -> None:
    sink.is_away = True
    for _ in range(5):
        run_jobs(sink, 1_000)
        sink.flush()
    assert len(sink._outbound_buffer) == 0
    assert len(sink._waiting) <= events.MOST_WAITING
