"""The page of the schedule, with a real beat."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.beat.store import HEARD
from tests.support.flower import Caller, Flower
from tests.support.programs import Program
from tests.support.ticking import QUEUE
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

NAME = "often"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Valkey]:
    """A broker whose schedule is the test's."""
    with Valkey(tmp_path) as server:
        yield server


@pytest.fixture
def caller(own: Valkey, tmp_path: Path) -> Iterator[Caller]:
    """Somebody at a Flower of that broker."""
    with Flower(tmp_path / "flower.log", own) as flower:
        flower.wait_until_open()
        with flower.visitor() as caller:
            yield caller


def start_beat(own: Valkey, tmp_path: Path) -> Program:
    """Start a beat with an entry that is due each second."""
    app = ("celery", "-A", "tests.support.ticking", "beat")
    return Program.python(*app, log=tmp_path / "beat.log", env={"BROKER_URL": own.url})


def test_without_entries_the_page_says_so(caller: Caller) -> None:
    assert "Nothing is scheduled" in caller.see("/schedule")
    assert "the schedule has no entry" in caller.do("/schedule/nothing/run")


def test_an_entry_is_paused_resumed_and_run(caller: Caller, own: Valkey, tmp_path: Path) -> None:
    with start_beat(own, tmp_path):
        wait_for(lambda: own.client.llen(QUEUE) > 1, "beat to tick")
        page = caller.see("/schedule")
        for part in (NAME, "tests.tick", QUEUE, "every second", "Next run"):
            assert part in page
        assert "No beat was heard of" not in page
        assert f"{NAME} is paused" in caller.do(f"/schedule/{NAME}/pause")
        assert f"{NAME} was paused already" in caller.do(f"/schedule/{NAME}/pause")
        runs = number_of_runs(caller)
        assert f"{NAME} runs in a moment" in caller.do(f"/schedule/{NAME}/run")
        wait_for(lambda: number_of_runs(caller) == runs + 1, "the run that was asked for")
        assert f"{NAME} is resumed" in caller.do(f"/schedule/{NAME}/resume")
        wait_for(lambda: number_of_runs(caller) > runs + 1, "beat to go on")
        assert f"run an entry of the schedule {NAME} 1" in caller.see("/audit")


def number_of_runs(caller: Caller) -> int:
    """Return how often the entry was run, as the page tells."""
    found = re.search(r'data-label="Runs"[^>]*>([\d,]+)<', caller.get("/schedule").text)
    assert found is not None
    return int(found[1].replace(",", ""))


def test_a_beat_that_is_gone_is_missed(caller: Caller, own: Valkey, tmp_path: Path) -> None:
    with start_beat(own, tmp_path):
        wait_for(lambda: own.client.llen(QUEUE) > 0, "beat to tick")
    # The key that tells of it would be gone by itself after 15 seconds.
    own.client.delete(HEARD)
    assert "No beat was heard of" in caller.see("/schedule")
