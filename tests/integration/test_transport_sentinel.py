"""Servers that Redis Sentinel watches: `sentinel://`, and what happens when the master is killed.

Not promised: what the master has accepted and not yet handed to its replica is lost with it, which
is how replication works there. The test waits until the replica has it.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import ROOT
from tests.support.servers import Watched
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

_SCHEDULE = """
from tasks import scheduler
print(scheduler.schedule("tests.add", {"first": 1, "second": 2}))
"""

_WAIT = """
import sys, asyncio
from tasks import scheduler, watch
async def last(job_id):
    async for status in watch.follow([job_id]):
        if status.state.is_final:
            print(status.state, status.data)
asyncio.run(last(sys.argv[1]))
"""


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Watched]:
    with Watched(tmp_path) as watched:
        yield watched


def ask(servers: Watched, code: str, *arguments: str) -> str:
    """Run this in a program of its own: settings are read once."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **servers.env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_jobs_and_their_results_go_through_sentinel_and_survive_a_failover(
    servers: Watched, tmp_path: Path
) -> None:
    with start_worker(
        tmp_path / "w.log", broker_url=servers.url, env=servers.env, concurrency=1
    ) as worker:
        assert ask(servers, _WAIT, ask(servers, _SCHEDULE)) == "Complete 3"
        # One that is accepted and replicated when the master dies, and waits behind the other one.
        worker.kill(signal.SIGSTOP)
        job_id = ask(servers, _SCHEDULE)
        wait_for(lambda: servers.replica.client.llen("default"), "the job on the replica")
        servers.kill_master()
        worker.kill(signal.SIGCONT)
        assert ask(servers, _WAIT, job_id) == "Complete 3"
        assert ask(servers, _WAIT, ask(servers, _SCHEDULE)) == "Complete 3"
        wait_for(lambda: not servers.replica.client.exists("unacked"), "acknowledgements")
        worker.check_alive()
