"""A server's user with no more rights than needed, and a prefix before every key.

The rights are read from the page that tells users of them, so the page cannot be wrong.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.programs import ROOT
from tests.support.servers import client_of
from tests.support.valkey import Valkey
from tests.support.worker import start_worker

PAGE = ROOT / "docs" / "running-workers.md"
SECRET = "a-password-of-your-own"  # noqa: S105 (it stands on the page)

_USE = """
import json, time
from tasks import failures, liveness, pending, quarantine, queues, schedule, scheduler
from tasks.beat.scheduler import Scheduler
from tasks.celery import app

def final(job_id):
    while not scheduler.status(job_id).state.is_final:
        time.sleep(0.05)
    return str(scheduler.status(job_id).state)

add = {"first": 1, "second": 2}
done = final(scheduler.schedule("tests.add", add))
later = app.send_task("tests.add", kwargs=add, countdown=1).id
urgent = app.send_task("tests.add", kwargs=add, priority=3).id
progress = final(scheduler.schedule("tests.publish_and_return_nothing"))
again = final(scheduler.schedule("tests.pass_after", {"failures": 1}))
waiting = scheduler.schedule("tests.add", add, queue="low")
cancelled = str(scheduler.cancel(waiting).state)
failed = scheduler.schedule("tests.give_up", {"file": "/dev/null", "passing": False})
assert final(failed) == "Failed"
assert failures.show(failed).task == "tests.give_up"
failures.retry(failed)
while failures.count() == 0:
    time.sleep(0.05)
failures.discard(failures.list(task="tests.give_up").jobs[0].job_id)
while not (kept := quarantine.newest(10)):
    time.sleep(0.05)
quarantine.put_back(kept[0].id)
while not (kept := quarantine.newest(10)):
    time.sleep(0.05)
quarantine.discard(kept[0].id)

for _ in range(6):
    scheduler.schedule("tests.add", add, queue="high")
assert queues.pause("high") and queues.resume("high")
assert {queue.name: queue.length for queue in queues.list()}["high"] == 6
page = pending.list("high", limit=4)
jobs = [*page.jobs, *pending.list("high", cursor=page.next_cursor).jobs]
pending.show(pending.edit(jobs[0].ref, {"first": 2}).ref)
pending.to_front(jobs[1].ref)
pending.find("high", pending.remove(jobs[2].ref) and jobs[3].job_id)
pending.move(jobs[4].ref, "low")
assert pending.move_all("high", "low").done == 4
assert pending.remove_all("low").done == 5 + 1
for number in range(2):
    app.send_task("tests.add", kwargs=add, countdown=999)
while pending.delayed().total < 2:
    time.sleep(0.05)
pending.run_now(pending.delayed(limit=1).jobs[0].ref)
pending.cancel(pending.delayed().jobs[0].ref)
app.conf.beat_schedule = {"add": {"task": "tests.add", "schedule": 99, "kwargs": add}}
beat = Scheduler(app)
beat.tick()
assert schedule.pause("add") and schedule.resume("add") and schedule.run_now("add")
beat.tick()
assert schedule.show("add").total_runs == 1 and schedule.is_running()
waiting = scheduler.schedule("tests.add", add, queue="low")
got = app.AsyncResult(later).get(timeout=30), app.AsyncResult(urgent).get(timeout=30)
print(json.dumps({
    "states": [done, progress, again, cancelled], "got": got, "size": scheduler.size("low"),
    "queues": len(scheduler.queues()), "workers": len(scheduler.workers()),
    "ready": liveness.is_ready(queue="default"), "failed": failures.count(),
}))
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path) as running:
        yield running


def command_of_the_page() -> list[str]:
    (line,) = re.findall(r"^ACL SETUSER expresslane (?:.*\\\n)*.*", PAGE.read_text(), re.MULTILINE)
    return str(line).replace("\\\n", " ").split()


def test_the_rights_on_the_page_are_enough_and_no_more(server: Valkey, tmp_path: Path) -> None:
    server.client.execute_command(*command_of_the_page())  # type: ignore[no-untyped-call] # redis-py's
    url = server.url.replace("redis://", f"redis://expresslane:{SECRET}@")
    with start_worker(tmp_path / "w.log", broker_url=url) as worker:
        server.client.lpush("default", b"garbage")
        done = subprocess.run(
            [sys.executable, "-c", _USE],
            env={**os.environ, "BROKER_URL": url},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        denied = server.client.acl_log()
        assert (done.returncode, denied) == (0, []), f"{denied}{done.stderr}{worker.output()}"
        assert json.loads(done.stdout) == {
            "states": ["Complete", "Complete", "Complete", "Cancelled"],
            "got": [3, 3],
            "size": 1,
            "queues": 3,
            "workers": 1,
            "ready": True,
            "failed": 0,
        }
    with client_of(url) as client:
        for command in (["FLUSHALL"], ["KEYS", "*"], ["CONFIG", "GET", "*"], ["GET", "other"]):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)


def test_the_rights_on_the_page_hold_every_command_of_the_scripts() -> None:
    granted = {word[1:].upper() for word in command_of_the_page() if word.startswith("+")}
    scripts = "".join(path.read_text() for path in (ROOT / "tasks").rglob("*.py"))
    used = set(re.findall(r"redis\.p?call\('([A-Z]+)'", scripts))
    assert len(used) > 20
    assert used - granted == set()


def test_a_worker_and_a_producer_work_under_a_prefix(server: Valkey, tmp_path: Path) -> None:
    (tmp_path / "prefixed.py").write_text(
        "from tasks.celery import app\n"
        "options = {'global_keyprefix': 'shop:'}\n"
        "app.conf.broker_transport_options = {**app.conf.broker_transport_options, **options}\n"
        "app.conf.result_backend_transport_options = options\n"
    )
    env = {"BROKER_URL": server.url, "PYTHONPATH": str(tmp_path)}
    with start_worker(
        tmp_path / "w.log",
        broker_url=server.url,
        jobs="prefixed,tests.support.jobs",
        queues="default",
        env=env,
    ) as worker:
        server.client.lpush("shop:default", b"garbage")
        done = subprocess.run(
            [sys.executable, "-c", f"import prefixed\n{_USE}"],
            env={**os.environ, **env},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr + worker.output()
        assert json.loads(done.stdout)["got"] == [3, 3]
        assert [key for key in server.client.scan_iter() if not key.startswith(b"shop:")] == []
