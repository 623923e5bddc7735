"""The sample jobs from call to effect, over real HTTP and SMTP, in this process."""

import json
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from celery import Task
from celery.result import EagerResult

from config.secret import SecretStr
from config.settings import Settings
from tasks.work import data_miner_job as miner
from tasks.work import email_job as mailer
from tasks.work import test_job as waiter
from tasks.work.errors import MailRefused, MailUnavailable, PageRefused, PageUnavailable
from tests.integration.smtp_desk import Desk, server
from tests.support.pages import PageFunction, Pages, Visit, page


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages({"/": page("<title>News</title><a href=/x>Read</a><script>x</script>")}) as running:
        yield running


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture(autouse=True)
def settings(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Give the jobs the mail server, and let them fetch from this machine."""
    with server(desk) as smtp:
        made = Settings(
            smtp_url=SecretStr(f"smtp://127.0.0.1:{smtp.port}"),
            fetch_private_addresses=True,
            state_dir=tmp_path,
        )
        for module in (miner, mailer, waiter):
            monkeypatch.setattr(module, "framework_settings", lambda: made)
        yield made


def run(task: Task[..., Any], **data: object) -> EagerResult[Any]:
    """Run a job in this process, retries included."""
    return task.apply(kwargs=data, task_id="job-1")


def busy_for(times: int) -> tuple[list[int], PageFunction]:
    """Return a page that is unavailable some times, and the list of its statuses."""
    given: list[int] = []

    def answer(visit: Visit) -> None:
        given.append(503 if len(given) < times else 200)
        visit.reply(b"<a href=/x>Read</a>", status=given[-1])

    return given, answer


def test_the_waiting_job_leaves_its_line_in_the_state_directory(settings: Settings) -> None:
    result = run(waiter.test_job, payload="Hi", wait_at_most=0)
    (line,) = (settings.state_dir / "test_job.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert (entry["payload"], entry["job_id"]) == ("Hi", "job-1")
    assert entry["date"] in result.get()
    assert "'Hi'" in result.get()


def test_the_mail_job_mails_a_harmless_copy_and_tells_its_message_id(
    pages: Pages, desk: Desk
) -> None:
    result = run(mailer.email_job, url=pages.url, to="ann@example.com").get()
    assert result == {
        "url": pages.url,
        "to": "ann@example.com",
        "subject": "News",
        "message_id": "<job-1@example.com>",
    }
    content = desk.accepted[0].original_content or b""
    assert message_from_bytes(content)["Message-ID"] == "<job-1@example.com>"
    assert b"<script" not in content


def test_a_page_that_comes_back_is_mailed_once(pages: Pages, desk: Desk) -> None:
    statuses, pages.pages["/"] = busy_for(2)
    run(mailer.email_job, url=pages.url, to="ann@example.com", subject="Hello").get()
    assert (statuses, len(desk.accepted)) == ([503, 503, 200], 1)


def test_a_busy_mail_server_is_tried_again_with_the_same_message_id(
    pages: Pages, desk: Desk
) -> None:
    desk.answers["data"] = "451 Too busy"
    with pytest.raises(MailUnavailable):
        run(mailer.email_job, url=pages.url, to="ann@example.com").get()
    contents = [envelope.original_content or b"" for envelope in desk.accepted]
    assert len(contents) == mailer.email_job.max_retries + 1
    assert {message_from_bytes(one)["Message-ID"] for one in contents} == {"<job-1@example.com>"}


@pytest.mark.parametrize("to", ["nobody", "a@b.example, c@d.example"])
def test_a_bad_address_fails_before_the_page_is_fetched(pages: Pages, to: str) -> None:
    with pytest.raises(MailRefused):
        run(mailer.email_job, url=pages.url, to=to).get()
    assert pages.visits == []


def test_the_mining_job_returns_links_as_data(pages: Pages) -> None:
    assert run(miner.data_miner_job, url=pages.url).get() == [
        {"text": "Read", "href": f"{pages.url}/x"}
    ]


def test_a_busy_page_is_mined_when_it_comes_back(pages: Pages) -> None:
    statuses, pages.pages["/"] = busy_for(1)
    assert len(run(miner.data_miner_job, url=pages.url, selector="a", limit=1).get()) == 1
    assert statuses == [503, 200]


def test_a_page_that_stays_away_fails_the_job_after_all_its_attempts(pages: Pages) -> None:
    statuses, pages.pages["/"] = busy_for(100)
    with pytest.raises(PageUnavailable, match="answered 503"):
        run(miner.data_miner_job, url=pages.url).get()
    assert len(statuses) == miner.data_miner_job.max_retries + 1


def test_a_missing_page_is_never_retried(pages: Pages) -> None:
    with pytest.raises(PageRefused, match="answered 404"):
        run(miner.data_miner_job, url=f"{pages.url}/gone").get()
    assert pages.paths == ["/gone"]


def test_a_bad_selector_fails_before_the_page_is_fetched(pages: Pages) -> None:
    with pytest.raises(PageRefused, match="not a CSS selector"):
        run(miner.data_miner_job, url=pages.url, selector="a[").get()
    assert pages.visits == []


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_out_of_bounds_fails(pages: Pages, limit: int) -> None:
    with pytest.raises(ValueError, match="limit must be 1 to 1000"):
        run(miner.data_miner_job, url=pages.url, limit=limit).get()


def test_private_addresses_are_refused_unless_the_setting_allows_them(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(miner, "framework_settings", Settings)
    with pytest.raises(PageRefused, match="FETCH_PRIVATE_ADDRESSES"):
        run(miner.data_miner_job, url=pages.url).get()
    assert pages.visits == []
