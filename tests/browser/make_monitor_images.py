"""The pictures of Flower's extra pages, made from a demo with jobs that really fail and wait.

python -m tests.browser.make_monitor_images      writes docs/images/flower-*.png
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.browser.chromium import chromium
from tests.browser.make_images import photograph
from tests.browser.visitor import Visitor
from tests.support.demo import Demo
from tests.support.programs import ROOT
from tests.support.waiting import wait_for

IMAGES = ROOT / "docs" / "images"

DESKTOP = (1280, 760)
PHONE = (390, 844)

FAILED_JOBS = 8
"""What `DO` makes fail."""

DO = """
from tasks import queues
from tasks.celery import app
from tasks.scheduler import schedule

for number in range(3):
    schedule("orders.record_sale", {"order_id": f"no-such-order-{number}"}, queue="high")
for _ in range(3):
    schedule("work.data_miner_job", {"url": "ftp://example.com/prices", "selector": "td"})
schedule("work.email_job", {"to": "ada@example.com", "url": "ftp://example.com"})
schedule("work.email_job", {"to": "nobody", "url": "http://example.com"})
queues.pause("low")
for number in range(23):
    data = {"order": 4100 + number, "email": "ada@example.com", "reason": "weekly report"}
    schedule("reports.weekly", data, queue="low")
app.send_task("work.test_job", kwargs={"payload": "later"}, queue="default", countdown=7_000)
"""


def main() -> None:
    """Start a demo, have jobs fail and wait in it, and write the pictures."""
    with TemporaryDirectory(prefix="expresslane-images-") as name:
        directory = Path(name)
        with (
            Demo(directory / "state", directory / "demo.log") as demo,
            chromium(directory / "profile") as driver,
        ):
            visitor = Visitor(driver, demo.wait_until_open().flower)
            do(demo, DO)
            wait_for(lambda: failed(demo) >= FAILED_JOBS, "the jobs to fail")
            take(visitor)


def do(demo: Demo, script: str) -> str:
    """Run a script beside the demo, and return what it prints."""
    env = {**os.environ, **demo.env}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=env, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout


def failed(demo: Demo) -> int:
    """Return how many jobs have failed."""
    return int(do(demo, "from tasks import failures; print(failures.count())"))


def take(visitor: Visitor) -> None:
    """Take the pages, on a desktop and on a phone."""
    for name, path, (width, height) in (
        ("failed", "/failed", DESKTOP),
        ("pending", "/pending?queue=low", DESKTOP),
        ("queues", "/queues", (1280, 600)),
        ("failed-phone", "/failed", PHONE),
        ("queues-phone", "/queues", PHONE),
    ):
        visitor.open(path)
        photograph(visitor, width, height, IMAGES / f"flower-{name}.png")
    for name, (width, height) in (("job", (1280, 870)), ("job-phone", PHONE)):
        visitor.open("/failed?task=orders.record_sale")
        visitor.click("#failed-jobs .monitor-id")
        photograph(visitor, width, height, IMAGES / f"flower-{name}.png")


if __name__ == "__main__":
    main()
