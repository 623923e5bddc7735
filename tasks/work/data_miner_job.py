"""The job that reads a page's links: the seed's DataMinerJob."""

from collections.abc import Callable, Iterable

from config.settings import framework_settings
from tasks.celery import app
from tasks.job import Job
from tasks.work.errors import PageUnavailable, shown
from tasks.work.fetch import fetch
from tasks.work.links import Link, compiled, links

MOST_LINKS = 1000
"""What one job returns at most: its data are kept in Redis and shown on a page."""
_BATCH = 100
"""Links after which the ones found so far are published."""


@app.task(name="work.data_miner_job", base=Job, bind=True, autoretry_for=(PageUnavailable,))
def data_miner_job(
    self: Job, url: str, selector: str = "a[href]", limit: int = MOST_LINKS
) -> list[Link]:
    """Fetch a page and return the links that a CSS selector finds, at most `limit` (1 to 1000).

    They are `[{"text", "href"}]`, with absolute http and https URLs, in the order of the page, and
    are published as data while they are found.

    Raises:
        PageUnavailable: tried again.
        PageRefused: fails the job at once, also when the selector cannot be used.
        ValueError: when `limit` is out of its bounds.

    """
    if not 1 <= limit <= MOST_LINKS:
        raise ValueError(f"limit must be 1 to {MOST_LINKS}, not {limit}")
    compiled(selector, url)
    self.progress(0, 2, f"fetching {shown(url)}")
    page = fetch(url, allow_private=framework_settings().fetch_private_addresses)

    def publish(found: list[Link]) -> None:
        self.set_data(found)
        self.progress(1, 2, f"{len(found)} links so far")

    found = collect(links(page, selector, limit), publish)
    self.progress(2, 2, f"{len(found)} links")
    return found


def collect(links: Iterable[Link], publish: Callable[[list[Link]], None]) -> list[Link]:
    """Return all links, publishing those found so far after none and after every hundred."""
    found: list[Link] = []
    publish(found)
    for link in links:
        found.append(link)
        if len(found) % _BATCH == 0:
            publish(found)
    return found
