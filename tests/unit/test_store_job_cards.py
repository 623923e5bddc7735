import json
from datetime import UTC, datetime

import pytest

from checkout_demo import order_cards
from checkout_demo.job_cards import OUT_OF_SIGHT, JobCard, all_settled, as_json, clean, summary
from checkout_demo.models import EffectKind, Order, OrderEffect
from checkout_demo.order_cards import cards_of
from tasks.errors import Unreachable
from tasks.results import Progress
from tasks.scheduler import JobStatus
from tasks.states import JobState


def card(state: JobState | None) -> JobCard:
    return JobCard("id", "Title", "a.task", JobStatus("id", state) if state else None)


def order() -> Order:
    return Order(
        customer_email="ada@example.com",
        lines=[],
        effects=[OrderEffect(kind=kind, job_id=f"{kind}-job") for kind in EffectKind],
    )


@pytest.mark.parametrize("state", [*JobState, None], ids=str)
def test_every_state_says_what_happens_now_and_next(state: JobState | None) -> None:
    assert card(state).now
    assert card(state).next
    assert card(state).state == (state.value if state else OUT_OF_SIGHT)


@pytest.mark.parametrize("state", JobState, ids=str)
def test_a_page_stops_looking_when_nothing_more_can_change(state: JobState) -> None:
    assert card(state).is_settled == (state.is_final or state is JobState.UNKNOWN)


def test_a_page_goes_on_looking_while_a_state_is_out_of_sight() -> None:
    assert not all_settled([card(JobState.COMPLETE), card(None)])


def test_the_summary_counts_the_states() -> None:
    states = (JobState.COMPLETE, JobState.RETRYING, JobState.COMPLETE)
    assert summary([card(state) for state in states]) == "2 complete, 1 retrying."
    assert summary([card(JobState.COMPLETE)] * 3) == "All 3 jobs are complete."


def test_what_the_ledger_calls_done_is_complete_and_nobody_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def status(job_id: str) -> JobStatus:
        asked.append(job_id)
        raise Unreachable("refused", "try again")

    monkeypatch.setattr(order_cards, "status", status)
    done = order()
    done.effects[1].done_at = datetime(2026, 11, 23, tzinfo=UTC)
    cards = cards_of(done, "deferred", {})
    assert [card.state for card in cards] == [OUT_OF_SIGHT, "Complete", OUT_OF_SIGHT]
    assert asked == ["receipt-job", "inventory-job"]


def test_a_buyer_does_not_read_an_operators_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = JobStatus("any", JobState.FAILED, error="OrderRefused: ask the ERP's admin")
    monkeypatch.setattr(order_cards, "status", lambda _: failed)
    cards = cards_of(order(), "deferred", {})
    assert [card.status.error for card in cards if card.status] == [None] * 3


def test_a_job_that_only_the_outbox_knows_is_said_to_be_kept() -> None:
    stored = JobCard("id", "Title", "a.task", JobStatus("id", JobState.WAITING, is_stored=True))
    assert stored.state == "Waiting"
    assert stored.now == "Kept with the order."
    assert card(JobState.WAITING).now == "In the queue."


def test_effects_inside_the_request_are_told_without_a_backend() -> None:
    half_done = order()
    half_done.effects[0].done_at = datetime(2026, 11, 23, tzinfo=UTC)
    assert [card.state for card in cards_of(half_done, "inline", {})] == [
        "Complete",
        "Failed",
        "Failed",
    ]


def test_a_status_is_the_object_of_the_contract() -> None:
    status = JobStatus("1", JobState.RUNNING, {"a": 1}, Progress(1, 2, "half"), attempts=1)
    assert as_json(status) == {
        "jobId": "1",
        "status": "Running",
        "data": {"a": 1},
        "progress": {"done": 1, "total": 2, "message": "half"},
        "attempts": 1,
        "error": None,
    }
    assert as_json(JobStatus("1", JobState.WAITING))["progress"] is None


def test_data_that_json_cannot_carry_break_no_answer() -> None:
    cleaned = clean({"nan": float("nan"), "half": "a\ud800", "kept": ["ü", 1.5, None]})
    assert cleaned == {"nan": None, "half": "a?", "kept": ["ü", 1.5, None]}
    assert json.dumps(cleaned, allow_nan=False)
