"""The order's page follows its jobs: through an outage, to a failure, without the stream too."""

import httpx
import pytest

from tests.browser.conftest import Faults
from tests.browser.shopping import SLOW, buy, states, wait_for_states, wait_until_complete
from tests.browser.visitor import Visitor
from tests.support.demo import Demo

pytestmark = pytest.mark.browser

NOTE_WHAT_FOLLOWS = """
window.following = new Set();
window.messages = 0;
window.EventSource = class extends EventSource {
  constructor(...wanted) {
    super(...wanted);
    following.add(this);
    this.addEventListener("message", () => (messages += 1));
  }
  close() {
    super.close();
    following.delete(this);
  }
};
const [start, stop] = [setInterval, clearInterval];
window.setInterval = (...wanted) => {
  const timer = start(...wanted);
  following.add(timer);
  return timer;
};
window.clearInterval = (timer) => {
  stop(timer);
  following.delete(timer);
};
"""
"""Keeps the page's open event streams and running timers in `following`."""

NO_TIMERS = "window.setInterval = () => 0;"


def following(visitor: Visitor) -> int:
    """Return how many streams and timers the page has."""
    return int(visitor.script("return following.size"))


def sell_out(demo: Demo, sku: str) -> None:
    """Let others have all that the ERP has of a product."""
    items = httpx.get(f"{demo.erp}/inventory").json()
    left = next(item["quantity"] for item in items if item["sku"] == sku)
    httpx.post(
        f"{demo.erp}/inventory/{sku}/decrements",
        json={"quantity": left, "order_id": "others"},
        headers={"Idempotency-Key": "others"},
    ).raise_for_status()


def test_an_outage_of_the_erp_is_told_in_plain_words_and_survived(
    browser: Visitor, faults: Faults
) -> None:
    faults(down=True)
    buy(browser, "slow-dripper", "ada.waits@example.com")
    with browser.without_reload():
        wait_for_states(browser, "Complete", "Retrying", "Retrying")
        for card in browser.texts('.job[data-state="Retrying"]'):
            assert "The last attempt met an error that may pass." in card
            assert "It is tried again by itself" in card
            assert "attempt" in card.split("orders.")[1]
        assert browser.text("[data-summary]") == "1 complete, 2 retrying."
        faults(down=False)
        wait_until_complete(browser)
    assert "Retrying" not in browser.text("main")


def test_a_job_that_fails_for_good_says_so_and_the_page_stops_following(
    browser: Visitor, demo: Demo, faults: Faults
) -> None:
    sell_out(demo, "wax-and-seal")
    faults(latency_ms=SLOW)
    browser.before_each_page(NOTE_WHAT_FOLLOWS)
    buy(browser, "wax-and-seal", "ada.too.late@example.com")
    assert following(browser) == 2, "a stream, and a timer for when it fails"
    with browser.without_reload():
        wait_for_states(browser, "Complete", "Complete", "Failed")
        browser.wait_for(lambda: following(browser) == 0, "the end of stream and timer")
    failed = browser.text('.job[data-state="Failed"]')
    assert "It met an error that does not pass by itself." in failed
    assert "It is kept with its error." in failed
    # What the ERP has answered is for whoever runs the store.
    assert "0 are left" not in failed
    assert browser.text("[data-summary]") == "2 complete, 1 failed."


def test_the_event_stream_alone_brings_the_page_to_complete(
    browser: Visitor, faults: Faults
) -> None:
    faults(latency_ms=SLOW)
    browser.before_each_page(NOTE_WHAT_FOLLOWS + NO_TIMERS)
    buy(browser, "brass-pen", "ada.streams@example.com")
    assert set(states(browser)) != {"Complete"}, "there was nothing to watch"
    with browser.without_reload():
        wait_until_complete(browser)
    assert browser.script("return messages") > 0


def test_without_the_event_stream_the_page_looks_again_until_complete(
    browser: Visitor, faults: Faults
) -> None:
    faults(latency_ms=SLOW)
    browser.expect_complaint("/events - Failed to load resource: net::ERR_BLOCKED_BY_CLIENT")
    browser.before_each_page(NOTE_WHAT_FOLLOWS)
    browser.tell_browser("Network.enable")
    browser.tell_browser("Network.setBlockedURLs", urls=["*/events"])
    buy(browser, "midnight-ink", "ada.polls@example.com")
    assert set(states(browser)) != {"Complete"}, "there was nothing to watch"
    with browser.without_reload():
        wait_until_complete(browser)
        browser.wait_for(lambda: following(browser) == 0, "the end of stream and timer")
    assert browser.script("return messages") == 0
