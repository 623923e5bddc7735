"""The picture at the top of the README, made from a demo of its own.

python -m tests.browser.make_images      writes docs/images/order-and-flower.png
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.browser.chromium import chromium
from tests.browser.shopping import change_quantity, place_order, put_in_cart, wait_until_complete
from tests.browser.visitor import Visitor
from tests.support.demo import Demo
from tests.support.programs import ROOT

PICTURE = ROOT / "docs" / "images" / "order-and-flower.png"

HEIGHT = 764
"""CSS pixels of both pages: the order's page down to its third job."""

ORDER_WIDTH = 880
"""CSS pixels: hardly more than the page needs for the receipt beside the jobs."""

FLOWER_WIDTH = 792
"""CSS pixels: a task's name, id and state. What comes further right is cut off."""

FRAME = """<!doctype html>
<meta charset="utf-8">
<style>
  body { display: flex; gap: 20px; width: max-content; margin: 0; padding: 14px 18px 26px; }
  img { display: block; border-radius: 12px; }
  img { box-shadow: 0 0 0 1px #1b225033, 0 6px 16px #10132b3d; }
</style>
<body><img src="order.png"><img src="flower.png"></body>
"""

TRANSPARENT = {"r": 0, "g": 0, "b": 0, "a": 0}

_JOBS = "return Array.from(document.querySelectorAll('.job'), job => job.dataset.job)"
_SIZE = "return [document.body.scrollWidth, document.body.scrollHeight]"


def main() -> None:
    """Start a demo, buy something in it, and write the picture."""
    with TemporaryDirectory(prefix="expresslane-images-") as name:
        directory = Path(name)
        with (
            Demo(directory / "state", directory / "demo.log") as demo,
            chromium(directory / "profile") as driver,
        ):
            visitor = Visitor(driver, demo.wait_until_open().store)
            keep_the_worker_busy(demo)
            jobs = photograph_order(visitor, directory / "order.png")
            photograph_flower(visitor, demo.flower, jobs, directory / "flower.png")
            compose(visitor, directory)


def keep_the_worker_busy(demo: Demo) -> None:
    """Schedule what is seen further down in Flower's list."""
    demo.order("wall-calendar")
    schedule(demo, "work.test_job", payload="Good morning", wait_at_most=0)
    schedule(demo, "work.data_miner_job", url=demo.store, selector="nav a")


def schedule(demo: Demo, task: str, **data: object) -> None:
    """Schedule a sample job."""
    job = {"task": task, "data": data}
    httpx.post(f"{demo.store}/api/jobs", json=job, timeout=30).raise_for_status()


def photograph_order(visitor: Visitor, file: Path) -> list[str]:
    """Buy something, take the order's page once all is done, and return the ids of its jobs."""
    visitor.open("/")
    put_in_cart(visitor, "press-pot")
    put_in_cart(visitor, "house-beans")
    change_quantity(visitor, "house-beans", 3)
    place_order(visitor, "ada@example.com")
    wait_until_complete(visitor)
    photograph(visitor, ORDER_WIDTH, HEIGHT, file)
    jobs: list[str] = visitor.script(_JOBS)
    return jobs


def photograph_flower(visitor: Visitor, flower: str, jobs: list[str], file: Path) -> None:
    """Take Flower's list once these jobs stand in it, all done."""
    visitor.driver.get(f"{flower}/tasks")
    visitor.wait_for(lambda: shows_success(visitor, jobs), "the order's jobs in Flower")
    photograph(visitor, FLOWER_WIDTH, HEIGHT, file)


def shows_success(visitor: Visitor, jobs: list[str]) -> bool:
    """Tell whether Flower lists these jobs as done; load its list again if it does not."""
    done = [row for row in visitor.texts("#tasks-table tbody tr") if "SUCCESS" in row]
    if all(any(job in row for row in done) for job in jobs):
        return True
    if done:
        # The list has arrived, without them.
        visitor.driver.refresh()
    return False


def compose(visitor: Visitor, directory: Path) -> None:
    """Put both pages side by side on nothing: the README's own background shows between them."""
    frame = directory / "frame.html"
    frame.write_text(FRAME)
    visitor.driver.get(frame.as_uri())
    visitor.tell_browser("Emulation.setDefaultBackgroundColorOverride", color=TRANSPARENT)
    width, height = visitor.script(_SIZE)
    photograph(visitor, width, height, PICTURE)


def photograph(visitor: Visitor, width: int, height: int, file: Path) -> None:
    """Write what a window of this size shows, as a PNG file."""
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    visitor.tell_browser("Emulation.setScrollbarsHidden", hidden=True)
    visitor.tell_browser("Emulation.setDeviceMetricsOverride", **screen)
    visitor.driver.save_screenshot(file)


if __name__ == "__main__":
    main()
