"""Flower's login, its roles, and from where it is obeyed: on its own pages and on ours."""

import re
from pathlib import Path

import httpx
import pytest

from tasks.celery import app
from tests.support.failed import QUEUE, fail
from tests.support.flower import LOGINS, OPERATOR, Caller, Flower
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

pytest_plugins = ("tests.integration.monitor_fixtures",)

PAGES = ("/", "/workers", "/tasks", "/broker", "/metrics", "/failed", "/quarantine", "/audit")
API = ("/api/workers", "/api/tasks", "/api/task/types")


@pytest.mark.parametrize("path", [*PAGES, *API, "/job/1", "/tasks/datatable"])
def test_a_stranger_sees_nothing(path: str, stranger: Caller) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "login", [("ada", "wrong"), ("ada", ""), ("nobody", "x"), ("äda", "ü"), ("ben", "p%25ss")]
)
def test_a_wrong_password_opens_nothing(login: tuple[str, str], login_flower: Flower) -> None:
    with login_flower.visitor(login) as caller:
        assert caller.get("/failed").status_code == 401
    wait_for(lambda: "refused a login" in login_flower.output(), "a line in the log")


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Bearer abc", "Basic YWRh", "basic  \xe4"]
)
def test_a_broken_login_opens_nothing(header: str, stranger: Caller) -> None:
    headers = {"Authorization": header.encode("latin-1")}
    assert stranger.get("/failed", headers=headers).status_code == 401  # type: ignore[arg-type]


def test_everybody_may_ask_whether_flower_lives(stranger: Caller) -> None:
    assert stranger.get("/healthcheck").text == "OK"
    assert stranger.get("/monitor-static/monitor.css").status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_a_reader_may_look(path: str, reader: Caller) -> None:
    assert reader.get(path).status_code == 200


@pytest.mark.usefixtures("clean_failed_jobs")
def test_a_reader_sees_no_button_and_is_refused(reader: Caller, valkey: Valkey) -> None:
    job_id = fail()
    for path in ("/failed", f"/job/{job_id}", "/quarantine", "/failed/discard"):
        page = reader.get(path).text
        buttons = re.findall(r'(?s)<(?:button|a)[^>]*class="btn[^>]*>(.*?)</', page)
        assert set(buttons) <= {"Filter", "Cancel"}, path
        assert 'method="post"' not in page or path.endswith("discard")
    for path in ("/failed/retry", "/failed/discard", f"/failed/jobs/{job_id}/retry"):
        assert reader.submit(path).status_code == 403
    for path in (f"/job/{job_id}/reveal", f"/job/{job_id}/retry-changed"):
        assert reader.submit(path).status_code == 403
    assert valkey.client.llen(QUEUE) == 0
    assert "1 job has failed" in reader.see("/failed")


@pytest.mark.parametrize(
    "path", ["task/revoke/1", "worker/shutdown/w", "task/async-apply/tests.add", "task/send-task/x"]
)
def test_flowers_own_changes_need_an_operator(path: str, reader: Caller, operator: Caller) -> None:
    assert reader.post(f"/api/{path}", json={}).status_code == 403
    assert operator.post(f"/api/{path}", json={}).status_code in (200, 404)


def test_flowers_own_changes_are_audited(operator: Caller) -> None:
    assert operator.post("/api/task/revoke/audited-1").status_code == 200
    seen = "ada Flower's own /api/task/revoke/audited-1"
    wait_for(lambda: seen in operator.see("/audit"), "the change in the audit")


def test_the_login_stands_in_no_log_and_no_configuration(
    operator: Caller, login_flower: Flower
) -> None:
    assert operator.get("/failed").status_code == 200
    shown = login_flower.output() + repr(dict(app.conf.items()))
    assert not any(word in shown for word in ("difference", "p%ss", "p%25ss"))


@pytest.mark.parametrize("name", ["anybody", "operator"])
def test_a_form_without_its_token_is_refused(name: str, request: pytest.FixtureRequest) -> None:
    caller: Caller = request.getfixturevalue(name)
    caller.get("/audit")
    for fields in ({}, {"_xsrf": "2|abc|def|1"}):
        assert caller.post("/failed/discard", data=fields).status_code == 403


@pytest.mark.parametrize("name", ["anybody", "operator"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1"},
    ],
    ids=str,
)
def test_another_site_is_not_obeyed(
    name: str, headers: dict[str, str], request: pytest.FixtureRequest
) -> None:
    caller: Caller = request.getfixturevalue(name)
    caller.get("/audit")
    token = {"_xsrf": caller.cookies["_xsrf"]}
    assert caller.post("/failed/discard", data=token, headers=headers).status_code == 403
    assert caller.post("/api/task/revoke/x", headers=headers).status_code == 403


def test_the_pages_own_origin_is_obeyed(operator: Caller, login_flower: Flower) -> None:
    headers = {"Origin": login_flower.url, "Sec-Fetch-Site": "same-origin"}
    assert operator.post("/api/task/revoke/x", headers=headers).status_code == 200


def test_without_a_login_only_names_of_this_machine_are_answered(anybody: Caller) -> None:
    """A site whose name leads to 127.0.0.1 would be of the same origin as itself."""
    assert anybody.get("/failed", headers={"Host": "evil.example:5555"}).status_code == 403
    for host in ("127.0.0.1:5555", "localhost", "[::1]:5555"):
        assert anybody.get("/failed", headers={"Host": host}).status_code == 200


def test_without_a_login_the_api_is_closed(anybody: Caller) -> None:
    assert [anybody.get(path).status_code for path in API] == [401] * len(API)
    assert anybody.post("/api/worker/shutdown/x").status_code == 401


def test_no_other_site_may_show_a_page_in_a_frame(anybody: Caller) -> None:
    for path in ("/failed", "/tasks", "/nowhere"):
        headers = anybody.get(path).headers
        assert headers["X-Frame-Options"] == "DENY" or path == "/nowhere"
        assert "Access-Control-Allow-Origin" not in headers


def ended(tmp_path: Path, valkey: Valkey, *options: str, **env: str) -> tuple[int, str]:
    """Start a Flower that should refuse; return its exit code and what it printed."""
    with Flower(tmp_path / "flower.log", valkey, *options, env=env) as flower:
        return flower.process.wait(60), flower.output()


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104 (it must refuse)
def test_flower_does_not_listen_elsewhere_without_a_login(
    address: str, tmp_path: Path, valkey: Valkey
) -> None:
    code, output = ended(tmp_path, valkey, f"--address={address}")
    assert code == 1
    assert f"Flower would listen on {address}" in output
    assert "MONITOR_OPERATORS=name:password" in output
    assert "Traceback" not in output


def test_nor_when_the_environment_says_so(tmp_path: Path, valkey: Valkey) -> None:
    code, output = ended(tmp_path, valkey, FLOWER_ADDRESS="0.0.0.0")  # noqa: S104 (it must refuse)
    assert (code, "MONITOR_OPERATORS" in output) == (1, True)


def test_flowers_own_login_is_refused_because_it_knows_no_roles(
    tmp_path: Path, valkey: Valkey
) -> None:
    code, output = ended(tmp_path, valkey, "--basic_auth=ada:pa55")
    assert (code, "MONITOR_OPERATORS" in output, "pa55" in output) == (1, True, False)


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"MONITOR_OPERATORS": "ada"}, "MONITOR_OPERATORS: write name:password"),
        ({"MONITOR_OPERATORS": "ada:pa55,ada:pa56"}, "a name stands there twice"),
        ({"MONITOR_OPERATORS": "ada:pa55", "MONITOR_READERS": "ada:pa56"}, "is in"),
        ({"MONITOR_BROKERS": "eu=http://ada:pa55@x"}, "MONITOR_BROKERS: eu: write redis://"),
        ({"FLOWER_UNAUTHENTICATED_API": "true"}, "any web page"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_used_are_explained(
    env: dict[str, str], says: str, tmp_path: Path, valkey: Valkey
) -> None:
    code, output = ended(tmp_path, valkey, **env)
    assert code == 1
    assert says in output
    assert "pa5" not in output


def test_with_a_login_flower_listens_where_it_is_told_to(tmp_path: Path, valkey: Valkey) -> None:
    options = "--address=0.0.0.0"  # that it does so is what is tested
    with Flower(tmp_path / "flower.log", valkey, options, env=LOGINS) as flower:
        flower.wait_until_open()
        assert httpx.get(f"{flower.url}/failed", trust_env=False).status_code == 401
        with flower.visitor(OPERATOR) as caller:
            assert caller.get("/failed", headers={"Host": "flower.example"}).status_code == 200
