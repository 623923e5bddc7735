"""What a producer meets when the broker is away: an error that says what became of the job.

Nothing here hangs: the waits are bounded by `PUBLISH_TIMEOUT`, and the suite by its own limit.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.errors import BadJob
from tests.support import jobs
from tests.support.programs import ROOT
from tests.support.valkey import Valkey

_SCHEDULE = """
from tasks.errors import Unreachable
from tasks import scheduler
try:
    print("queued", scheduler.schedule("tests.add", {"first": 1, "second": 2}))
except Unreachable as error:
    print("may be queued" if error.may_be_queued else "not queued", error)
"""


def schedule(broker: Valkey, results: Valkey) -> str:
    """Schedule a job in a process of its own, and return what became of it."""
    env = {"BROKER_URL": broker.url, "RESULT_BACKEND_URL": results.url, "PUBLISH_TIMEOUT": "0.3"}
    return subprocess.run(
        [sys.executable, "-c", _SCHEDULE],
        env={**os.environ, **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


@pytest.fixture
def broker(tmp_path: Path) -> Valkey:
    """A broker of the test's own, to be broken."""
    return Valkey(tmp_path)


def test_a_dead_broker_is_an_error_at_once_and_the_job_is_not_queued(
    broker: Valkey, valkey: Valkey
) -> None:
    broker.stop()
    found = schedule(broker, valkey)
    assert found.startswith("not queued")
    assert "schedule it again later" in found


def test_a_broker_that_does_not_answer_is_an_error_in_time(broker: Valkey, valkey: Valkey) -> None:
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        assert "Timeout" in schedule(broker, valkey)
    finally:
        os.kill(broker.pid, signal.SIGCONT)
        broker.stop()


def test_a_result_backend_that_does_not_answer_means_that_nothing_was_queued(
    broker: Valkey, valkey: Valkey
) -> None:
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        assert schedule(valkey, broker).startswith("not queued")
    finally:
        os.kill(broker.pid, signal.SIGCONT)
        broker.stop()


def test_a_broker_that_refuses_writes_says_so(broker: Valkey, valkey: Valkey) -> None:
    broker.client.config_set("maxmemory", "1mb")
    broker.client.config_set("maxmemory-policy", "noeviction")
    found = schedule(broker, valkey)
    broker.stop()
    assert found.startswith("not queued")
    assert "maxmemory" in found


@pytest.mark.parametrize(
    "value",
    [
        {"__type__": "x", "__value__": 1},
        [{"deep": ({"__type__": "datetime", "__value__": "no date"},)}],
    ],
)
@pytest.mark.usefixtures("valkey")
def test_data_that_look_like_kombus_own_are_refused(value: object) -> None:
    with pytest.raises(BadJob, match="__type__"):
        jobs.add.delay(first=value, second=1)
