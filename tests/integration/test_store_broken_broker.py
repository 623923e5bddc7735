"""The store while its broker is frozen, full or silent; and what it makes up for afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from time import monotonic
from typing import Any

import httpx
import pytest

from tests.integration.outbox_fixtures import queued
from tests.support.programs import Program
from tests.support.silent import Silent
from tests.support.store import ADA, StoreProcess, item
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

ORDER = {"customer": ADA, "items": [item("press-pot")]}

PATIENT = {"PUBLISH_TIMEOUT": "60"}
"""A request that waits for the broker waits for a minute, and so is told from one that does not."""

NO_WAIT = 20.0
"""Seconds for a request, on a busy machine; a third of what waiting for the broker takes."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Valkey]:
    """A broker that a test may break; it is whole again afterwards, so that it can be stopped."""
    with Valkey(tmp_path) as server:
        yield server
        server.kill(SIGCONT)


@contextmanager
def store_on(broker_url: str, directory: Path, **env: str) -> Iterator[StoreProcess]:
    with StoreProcess(directory, {"BROKER_URL": broker_url, **env}) as store:
        yield store


@contextmanager
def relay_of(store: StoreProcess, broker: Valkey) -> Iterator[Program]:
    """A relay beside the store; the tests' own worker is nowhere near."""
    directory = store.log_file.parent
    env = {"STATE_DIR": str(directory), "BROKER_URL": broker.url}
    command = ("celery", "-A", "tasks", "outbox", "relay")
    with Program.python(*command, log=directory / "relay.log", env=env) as program:
        yield program


def order(http: httpx.Client) -> list[dict[str, str]]:
    """Place an order, and return its jobs."""
    answer = http.post("/api/orders", json=ORDER, timeout=NO_WAIT)
    assert answer.status_code == 201
    jobs: list[dict[str, str]] = answer.json()["jobs"]
    return jobs


def look_at(http: httpx.Client, job: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = http.get(job["status_url"]).raise_for_status().json()
    return found


def is_queued(broker: Valkey, jobs: list[dict[str, str]]) -> bool:
    return {job["job_id"] for job in jobs} <= set(queued(broker, "default"))


def test_a_checkout_waits_for_no_frozen_broker_and_its_jobs_are_published_when_it_wakes(
    broker: Valkey, tmp_path: Path
) -> None:
    with store_on(broker.url, tmp_path, **PATIENT) as store, store.client() as http:
        jobs = order(http)
        wait_for(lambda: is_queued(broker, jobs), "the jobs of an order before")
        broker.kill(SIGSTOP)
        late = [job for _ in range(3) for job in order(http)]
        assert http.get("/", timeout=NO_WAIT).status_code == 200
        broker.kill(SIGCONT)
        wait_for(lambda: is_queued(broker, late), "their jobs")


def test_a_replay_waits_for_no_frozen_broker(broker: Valkey, tmp_path: Path) -> None:
    with store_on(broker.url, tmp_path, **PATIENT) as store, store.client() as http:
        jobs = order(http)
        wait_for(lambda: is_queued(broker, jobs), "the jobs")
        broker.client.delete("default")
        broker.kill(SIGSTOP)
        path = f"/operator/effects/{jobs[0]['job_id']}"
        assert http.post(f"{path}/replays", timeout=NO_WAIT).status_code == 303
        assert http.get(path, timeout=NO_WAIT).status_code == 200
        assert http.get("/operator/effects", timeout=NO_WAIT).status_code == 200
        broker.kill(SIGCONT)
        wait_for(lambda: is_queued(broker, jobs[:1]), "the job once more")


def test_a_frozen_broker_leaves_jobs_waiting_and_pages_whole(
    broker: Valkey, tmp_path: Path
) -> None:
    with store_on(broker.url, tmp_path) as store, store.client() as http:
        broker.kill(SIGSTOP)
        answer = http.post("/api/orders", json=ORDER)
        jobs = answer.json()["jobs"]
        page = http.get(answer.json()["url"]).text
        assert page.count("Kept with the order.") == 3
        assert look_at(http, jobs[0])["status"] == "Waiting"
        # The stream ends by itself, so that the page looks on its own.
        assert http.get(f"/jobs/{jobs[0]['job_id']}/events").status_code == 200
        broker.kill(SIGCONT)
        with relay_of(store, broker):
            wait_for(lambda: is_queued(broker, jobs), "its jobs")
        wait_for(lambda: "In the queue." in http.get(answer.json()["url"]).text, "another look")


def test_a_full_broker_takes_no_job_and_loses_none(broker: Valkey, tmp_path: Path) -> None:
    with store_on(broker.url, tmp_path) as store, store.client() as http:
        jobs = order(http)
        wait_for(lambda: is_queued(broker, jobs), "the jobs of an order before")
        broker.client.config_set("maxmemory-policy", "noeviction")
        broker.client.config_set("maxmemory", 1)
        late = order(http)
        wait_for(lambda: "a relay will publish 3 jobs" in store.output(), "a publish in vain")
        assert [look_at(http, job)["status"] for job in late] == ["Waiting"] * 3
        refused = http.post("/api/jobs", json={"task": "work.test_job"})
        assert refused.status_code == 503
        with relay_of(store, broker) as relay:
            wait_for(lambda: "the relay waits" in relay.output(), "a relay to be refused")
            broker.client.config_set("maxmemory", 0)
            wait_for(lambda: is_queued(broker, late), "the jobs, once there is room")
        assert sorted(queued(broker, "default")) == sorted(job["job_id"] for job in (*jobs, *late))


def test_pages_do_not_each_wait_for_a_silent_backend(tmp_path: Path) -> None:
    """Each look at a state that waits is a connection; after a failure, one a second may."""
    with Silent() as silent:
        url = f"redis://127.0.0.1:{silent.port}/0"
        with store_on(url, tmp_path) as store, store.client() as http:
            answer = http.post("/api/orders", json=ORDER)
            began, before = monotonic(), len(silent.accepted)
            for _ in range(40):
                assert http.get(answer.json()["url"]).status_code == 200
            asked = len(silent.accepted) - before
            # 40 pages with 3 jobs each. A probe waits a second, and then comes a second's pause;
            # one connection more is the thread's that publishes.
            assert 1 <= asked <= (monotonic() - began) / 2 + 3
