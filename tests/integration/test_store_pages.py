import re

import httpx
import pytest

from tests.integration.store_fixtures import browser, store
from tests.integration.store_pages import Page, act, look

__all__ = ["browser", "store"]

PAGES = ["/", "/demo", "/inbox", "/nowhere"]


@pytest.mark.parametrize("path", ["/checkout", "/cart", "/cart/press-pot", "/demo", "/api/orders"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_another_site_cannot_act_for_a_visitor(
    browser: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    assert browser.post(path, data={"sku": "press-pot"}, headers=headers).status_code == 403


def test_the_sample_jobs_can_be_scheduled_without_javascript(browser: httpx.Client) -> None:
    answer = browser.post(
        "/demo", data={"task": "work.test_job", "payload": "hello", "wait_at_most": "0"}
    )
    assert answer.status_code == 303
    assert re.fullmatch(r"/demo/[0-9a-f-]{36}", answer.headers["Location"])
    page = look(browser, answer.headers["Location"])
    assert "“Wait a while” is scheduled." in page.words
    assert "In the queue." in page.words
    assert "None yet." in page.words


def test_a_sample_job_with_faults_is_not_scheduled(browser: httpx.Client) -> None:
    page = act(browser, "/demo", task="work.email_job", url="ftp://x", to="nobody", subject="")
    assert page.status == 422
    faulty = [field["name"] for field in page.all("input") if "aria-invalid" in field]
    assert faulty == ["url", "to", "subject"]
    assert act(browser, "/demo", task="orders.send_receipt").status == 422


def test_an_unknown_job_is_told_in_plain_words(browser: httpx.Client) -> None:
    page = look(browser, "/demo/no-such-job")
    assert (page.status, "Nothing is known of this job." in page.words) == (404, True)


def test_an_empty_inbox_says_how_to_fill_it(browser: httpx.Client) -> None:
    assert "No mail yet." in look(browser, "/inbox").words
    assert look(browser, "/inbox/no-such-mail").status == 404
    assert browser.get("/api/inbox").json() == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_can_be_used_by_keyboard_and_reader(browser: httpx.Client, path: str) -> None:
    page = look(browser, path)
    assert page.all("html") == [{"lang": "en"}]
    assert page.all("a")[0]["href"] == "#main"
    assert page.all("main")[0]["id"] == "main"
    assert len(page.all("h1")) == len(page.all("title")) == 1
    labels = {label["for"] for label in page.all("label")}
    shown = {field["id"] for field in page.all("input") if field.get("type") != "hidden"}
    assert shown <= labels
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all("alt" in image for image in page.all("img"))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_and_loads_nothing_foreign(browser: httpx.Client, path: str) -> None:
    answer = browser.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    page = Page(answer)
    loaded = [tag["src"] for tag in page.all("script") + page.all("img")]
    loaded += [link["href"] for link in page.all("link")]
    assert [url for url in loaded if not url.startswith("/static/")] == []
    assert [url for url in loaded if browser.get(url).status_code != 200] == []
    assert [
        name for _, found in page.elements for name in found if re.match("on|style", name)
    ] == []


def test_the_visitors_cookie_is_out_of_reach_for_scripts(browser: httpx.Client) -> None:
    cookie = browser.post("/cart", data={"sku": "press-pot"}).headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_static_files_stay_in_their_directory(browser: httpx.Client) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py"):
        assert browser.get(path).status_code == 404
