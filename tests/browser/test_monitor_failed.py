"""Failed jobs in Flower, in a real browser: with a mouse, by keyboard and without JavaScript."""

from pathlib import Path
from urllib.parse import quote

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from tasks import failures
from tasks.scheduler import status
from tests.browser.monitoring import QUEUE, fail_until, visit
from tests.browser.visitor import Visitor
from tests.support.failed import fail
from tests.support.flower import LOGINS, OPERATOR, READER, Flower
from tests.support.valkey import Valkey

pytestmark = [
    pytest.mark.browser,
    pytest.mark.usefixtures("clean_failed_jobs", "failing_worker"),
]

TAB = 'nav a[href="/failed"]'


def complete(visitor: Visitor) -> bool:
    """Load the page again, and tell whether its job is complete."""
    visitor.driver.refresh()
    return "Complete" in visitor.text("#main-content")


def test_a_failed_job_is_looked_at_and_retried(operator: Visitor, tmp_path: Path) -> None:
    file = tmp_path / "there"
    job_id = fail_until(file)
    operator.open("/")
    operator.click(TAB)
    assert operator.path == "/failed"
    assert operator.texts(f'{TAB} [data-tab="failed"]') == ["1"]
    assert "is missing" in operator.text("#failed-jobs tbody tr")
    operator.click("#failed-jobs .monitor-id")
    assert operator.path == f"/job/{job_id}"
    for part in ("Failed", "Traceback", "failing.until", QUEUE, f'"file": "{file}"'):
        assert part in operator.text("#main-content")
    file.touch()
    operator.click('form[action$="/retry"] button')
    operator.wait_for_text(f"The job {job_id} is back in its queue", '[role="status"]')
    assert "No job has failed" in operator.text("#failed-jobs")
    assert operator.texts(f"{TAB} .monitor-count") == []
    operator.open(f"/job/{job_id}")
    operator.wait_for(lambda: complete(operator), "the job to be complete")


def test_all_that_fit_are_retried_without_javascript(
    plain_operator: Visitor, tmp_path: Path
) -> None:
    file = tmp_path / "there"
    jobs = [fail_until(file), fail_until(file)]
    other = fail("other.task")
    plain_operator.open("/failed")
    plain_operator.write("#filter-task", "failing.until")
    plain_operator.click('[role="search"] button')
    assert "2 jobs have failed" in plain_operator.text("header.page-header")
    assert other not in plain_operator.text("#failed-jobs")
    file.touch()
    plain_operator.click("#retry-all")
    assert "Retry 2 failed jobs?" in plain_operator.text("h2")
    plain_operator.click(".btn-danger")
    plain_operator.wait_for_text("2 failed jobs retried", '[role="status"]')
    for job_id in jobs:
        plain_operator.wait_for(lambda: str(status(job_id).state) == "Complete", "it to be done")  # noqa: B023 (called at once)
    assert [job.job_id for job in failures.list().jobs] == [other]


def test_clearing_is_asked_about_and_can_be_taken_back(plain_operator: Visitor) -> None:
    fail()
    plain_operator.open("/failed")
    plain_operator.click("#discard-all")
    plain_operator.click(".btn-outline-secondary")
    plain_operator.wait_for_text("1 job has failed", "header.page-header")
    plain_operator.click("#discard-all")
    plain_operator.click(".btn-danger")
    plain_operator.wait_for_text("No job has failed", "#failed-jobs")


def test_bad_data_are_named_and_mended(operator: Visitor, tmp_path: Path) -> None:
    missing, there = tmp_path / "missing", tmp_path / "there"
    there.touch()
    job_id = fail_until(missing)
    operator.open(f"/job/{job_id}")
    operator.expect_complaint("status of 422")
    operator.click("summary")
    operator.write("#changed-data", '{"file": ')
    operator.click("details button")
    operator.wait_for_text("this is no JSON", "#data-fault")
    assert operator.has_focus("#changed-data")
    assert operator.value("#changed-data") == '{"file": '
    operator.write("#changed-data", f'{{"file": "{there}"}}')
    operator.click("details button")
    operator.wait_for_text("with the changed data", '[role="status"]')
    operator.wait_for(lambda: complete(operator), "the job to be complete")


def test_a_job_is_retried_by_keyboard(operator: Visitor) -> None:
    job_id = fail()
    operator.open("/failed")
    operator.tab_to('#failed-jobs button[aria-label^="Retry"]')
    operator.press(Keys.ENTER)
    operator.wait_for_text(f"The job {job_id} is back in its queue", '[role="status"]')


def test_a_page_that_was_open_while_flower_was_restarted_still_works(
    with_javascript: Chrome, valkey: Valkey, tmp_path: Path
) -> None:
    job_id = fail()
    with Flower(tmp_path / "first.log", valkey) as first:
        first.wait_until_open()
        for visitor in visit(with_javascript, first.url):
            visitor.open("/failed")
            first.kill()
            first.process.wait()
            with Flower(tmp_path / "second.log", valkey, port=first.port) as second:
                second.wait_until_open()
                visitor.click("#failed-jobs button")
                visitor.wait_for_text(f"{job_id} is back in its queue", '[role="status"]')


def test_a_reader_sees_the_jobs_and_no_buttons(
    with_javascript: Chrome, valkey: Valkey, tmp_path: Path
) -> None:
    job_id = fail()
    with Flower(tmp_path / "flower.log", valkey, env=LOGINS) as flower:
        flower.wait_until_open()
        for (name, word), buttons in {READER: [], OPERATOR: ["Retry"]}.items():
            there = flower.url.replace("://", f"://{name}:{quoted(word)}@")
            for visitor in visit(with_javascript, flower.url):
                visitor.driver.get(f"{there}/failed")
                assert job_id in visitor.text("#failed-jobs")
                assert visitor.texts("#failed-jobs button") == buttons


def quoted(word: str) -> str:
    """Return a password as it stands in a URL."""
    return quote(word, safe="")
