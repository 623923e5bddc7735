"""The page `/demo`: pick a job, fill its data, watch its state and its data arrive."""

import json
from typing import Any

import pytest

from tests.browser.visitor import Visitor
from tests.support.demo import Demo

pytestmark = pytest.mark.browser


def schedule(visitor: Visitor, icon: str, **data: str) -> None:
    """Fill the form of one sample job, and send it."""
    visitor.open("/demo")
    for field, text in data.items():
        visitor.write(f"#{icon}-{field}", text)
    visitor.click(f'form[aria-labelledby="title-{icon}"] button')
    visitor.wait_for(lambda: visitor.path.startswith("/demo/"), "the job's page")


def watch(visitor: Visitor) -> Any:  # noqa: ANN401 (any job's data)
    """Watch the job until the page says that it is Complete, and return the data it shows."""
    with visitor.without_reload():
        visitor.wait_for_text("Complete", ".job .state")
        visitor.wait_for(lambda: visitor.text(".data pre"), "the job's data")
    return json.loads(visitor.text(".data pre"))


def test_the_test_job_can_be_scheduled_and_watched(browser: Visitor) -> None:
    schedule(browser, "clock", payload="Grüße, <b>bold</b>", wait_at_most="1")
    assert "Grüße, <b>bold</b>" in json.dumps(watch(browser), ensure_ascii=False)


def test_the_email_job_can_be_scheduled_and_watched_and_its_mail_read(
    browser: Visitor, demo: Demo
) -> None:
    schedule(browser, "mail", url=f"{demo.store}/inbox", to="reader@example.com", subject="Yours")
    assert watch(browser)["to"] == "reader@example.com"
    browser.open("/inbox")
    assert "reader@example.com" in browser.text(".mails li:first-child")
    browser.click(".mails li:first-child a")
    browser.driver.switch_to.frame(browser.find("iframe"))
    assert "Everybody's inbox" in browser.text()


def test_the_data_miner_job_can_be_scheduled_and_watched(browser: Visitor, demo: Demo) -> None:
    schedule(browser, "links", url=f"{demo.store}/", selector="nav a")
    assert watch(browser)[:2] == [
        {"text": "Shop", "href": f"{demo.store}/"},
        {"text": "Jobs", "href": f"{demo.store}/demo"},
    ]


def test_what_is_suggested_is_enough_for_a_click(browser: Visitor, demo: Demo) -> None:
    schedule(browser, "links")
    assert f"{demo.store}/inbox" in [link["href"] for link in watch(browser)]


def test_a_field_that_is_wrong_is_named_and_the_others_stay(browser: Visitor) -> None:
    browser.expect_complaint("status of 422")
    browser.open("/demo")
    browser.write("#links-url", "ftp://example.com/")
    browser.write("#links-selector", "main a")
    browser.click('form[aria-labelledby="title-links"] button')
    browser.wait_for_text("1 thing needs a change", ".fault-summary")
    assert browser.has_focus(".fault-summary")
    assert "http://" in browser.text("#links-url + #links-url-fault")
    assert browser.value("#links-selector") == "main a"
    assert browser.text("#mail-url + .fault") == ""
