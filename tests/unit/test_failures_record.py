"""What is kept of a failure, and that keeping it never gets in the way."""

import json
import logging
from typing import Any

import pytest
import redis
from celery import Celery
from celery.app.task import Context

from tasks.app import App
from tasks.failed import record
from tasks.failed.message import arguments
from tasks.failed.store import Failure, Kept

DELIVERY = {"routing_key": "default", "priority": 0}


@pytest.fixture
def app() -> Celery:
    return App("unit", set_as_current=False)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Failure]:
    """What would have gone to the server."""
    found: list[Failure] = []

    def store(_: Celery, failure: Failure) -> Kept:
        found.append(failure)
        return Kept(is_lost=False, dropped=())

    monkeypatch.setattr(record, "_store", store)
    return found


def request(**changes: Any) -> Context:
    fields = {"id": "j", "task": "t", "args": [1], "kwargs": {"b": 2}, "delivery_info": DELIVERY}
    return Context({**fields, **changes})


class Boom(Exception):
    """An error that cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_a_delivery_is_kept(app: Celery, kept: list[Failure]) -> None:
    record.keep(app, "j", ValueError("no"), "Traceback ...", request(retries=2, hostname="w@h"))
    (failure,) = kept
    assert (failure.job_id, failure.task, failure.queue) == ("j", "t", "default")
    assert failure.error_type == "ValueError"
    assert json.loads(failure.details) == {
        "error": "no",
        "traceback": "Traceback ...",
        "attempts": 3,
        "deaths": 0,
        "worker": "w@h",
    }


@pytest.mark.parametrize(
    "what",
    [
        None,
        object(),
        request(id="another"),
        request(task=None),
        request(is_eager=True),
        request(delivery_info={}),
        request(delivery_info=None),
        request(outcome="SUCCESS"),
        request(outcome="REVOKED"),
        request(outcome="newer"),
    ],
)
def test_what_is_no_failed_delivery_is_not_kept(
    app: Celery, kept: list[Failure], what: object
) -> None:
    record.keep(app, "j", ValueError("no"), None, what)
    assert kept == []


def test_a_claim_is_ended_with_the_failure_and_has_the_message(
    app: Celery, kept: list[Failure]
) -> None:
    record.keep(app, "j", ValueError(), None, request(properties={"delivery_tag": "lane-1.0"}))
    assert (kept[0].tag, kept[0].must_be_held, kept[0].message) == ("lane-1.0", True, b"")


def test_a_message_that_came_in_no_claim_is_composed(app: Celery, kept: list[Failure]) -> None:
    record.keep(app, "j", ValueError(), None, request(properties={"delivery_tag": "5-stock"}))
    assert (kept[0].tag, kept[0].must_be_held) == ("", False)
    assert arguments(json.loads(kept[0].message)) == ((1,), {"b": 2})


def test_an_error_without_words_is_kept(app: Celery, kept: list[Failure]) -> None:
    record.keep(app, "j", Boom(), None, request())
    assert kept[0].error_type == "Boom"
    assert "Boom" in json.loads(kept[0].details)["error"]


def test_a_name_that_no_server_can_store_is_kept_as_near_as_can_be(
    app: Celery, kept: list[Failure]
) -> None:
    record.keep(app, "j", ValueError("\ud800"), None, request(task="half \ud800"))
    assert kept[0].task == "half ?"
    assert kept[0].details.isascii()


def test_a_long_traceback_keeps_its_beginning_and_its_end(app: Celery, kept: list[Failure]) -> None:
    trace = "first\n" + "frame\n" * 100_000 + "last"
    record.keep(app, "j", ValueError("x" * 10_000), trace, request())
    details = json.loads(kept[0].details)
    assert details["traceback"].startswith("first")
    assert details["traceback"].endswith("last")
    assert "characters left out" in details["traceback"]
    assert len(details["traceback"]) < record.TRACEBACK_LENGTH + 100
    assert len(details["error"]) < record.ERROR_LENGTH + 100


def test_what_goes_wrong_while_keeping_is_logged_and_goes_no_further(
    app: Celery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def store(*_: object) -> Kept:
        raise RuntimeError("disk full")

    monkeypatch.setattr(record, "_store", store)
    record.keep(app, "j", ValueError("no"), None, request())
    (line,) = caplog.records
    assert (line.levelno, line.getMessage()) == (
        logging.CRITICAL,
        "job j has failed and could not be kept",
    )


def test_a_broker_that_comes_back_gets_the_failure_after_all(
    app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def store(*_: object) -> Kept:
        tries.append("try")
        if len(tries) < 3:
            raise redis.ConnectionError("away")
        return Kept(is_lost=False, dropped=())

    monkeypatch.setattr(record, "_store", store)
    for name in ("interval_start", "interval_step", "interval_max"):
        monkeypatch.setitem(record._PATIENCE, name, 0)
    record.keep(app, "j", ValueError("no"), None, request())
    assert len(tries) == 3


@pytest.mark.parametrize(
    ("kept_as", "says"),
    [
        (Kept(is_lost=True, dropped=()), "this worker's claim on it is over"),
        (Kept(is_lost=False, dropped=("a", "b")), "2 failed jobs have made room"),
    ],
)
def test_what_is_not_kept_is_logged(
    app: Celery,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kept_as: Kept,
    says: str,
) -> None:
    monkeypatch.setattr(record, "_store", lambda *_: kept_as)
    record.keep(app, "j", ValueError("no"), None, request())
    assert says in caplog.text


def test_the_store_is_bound_to_the_limits_of_the_settings(
    app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[tuple[int, int]] = []

    class Store:
        def __init__(self, server: object) -> None: ...

        def store(self, _: Failure, most: int, seconds: int) -> Kept:
            limits.append((most, seconds))
            return Kept(is_lost=False, dropped=())

    monkeypatch.setattr(record, "FailedStore", Store)
    monkeypatch.setattr(record, "server_of", lambda _: None)
    record.keep(app, "j", ValueError("no"), None, request())
    assert limits == [(100_000, 30 * 86_400)]
