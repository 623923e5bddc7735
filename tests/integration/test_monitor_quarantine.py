"""The pages of quarantine and audit."""

import json
import time
from collections.abc import Iterator

import pytest

from tasks import audit
from tasks.celery import app
from tests.support.flower import Caller, tabs_of, text_of
from tests.support.valkey import Valkey

pytest_plugins = ("tests.integration.monitor_fixtures",)

GARBAGE = b'\xfe gar\x00bage <b>x</b> "password": "pa55"'
QUEUE = "nobody-works-on-garbage"


@pytest.fixture(autouse=True)
def nothing_in_quarantine(valkey: Valkey) -> Iterator[None]:
    """An empty quarantine before and after."""
    names = ("quarantine", "quarantine.count", QUEUE, f"{QUEUE}.bell")
    valkey.client.delete(*names)
    yield
    valkey.client.delete(*names)


def quarantine(valkey: Valkey, message: bytes = GARBAGE) -> str:
    """Put a message there as the transport does, and return its id."""
    about = {"queue": QUEUE, "reason": "JSONDecodeError: for ada@example.com", "at": time.time()}
    found = valkey.client.xadd("quarantine", {"about": json.dumps(about), "message": message})
    assert isinstance(found, bytes)
    return found.decode()


def test_an_empty_quarantine_says_so(anybody: Caller) -> None:
    assert "Nothing is in quarantine" in anybody.see("/quarantine")


def test_a_message_is_shown_byte_for_byte_and_masked(anybody: Caller, valkey: Valkey) -> None:
    message_id = quarantine(valkey)
    page = anybody.get("/quarantine").text
    assert "Quarantine 1 Outbox Audit" in tabs_of(page)
    for shown in (page, anybody.get(f"/quarantine/{message_id}").text):
        assert r"\xfe gar\x00bage <b>x</b>" in text_of(shown)
        assert "JSONDecodeError: for ***@example.com" in text_of(shown)
        assert not any(secret in shown for secret in ("<b>", "pa55", "ada@"))


def test_a_message_is_put_back_once(anybody: Caller, valkey: Valkey) -> None:
    message_id = quarantine(valkey)
    assert "is back in its queue" in anybody.do(f"/quarantine/{message_id}/put-back")
    assert valkey.client.lrange(QUEUE, 0, -1) == [GARBAGE]
    assert "is in quarantine" in anybody.do(f"/quarantine/{message_id}/put-back")
    assert valkey.client.lrange(QUEUE, 0, -1) == [GARBAGE]
    assert f"put back a quarantined message {message_id} 1" in anybody.see("/audit")


def test_what_is_hidden_is_shown_once_and_the_audit_tells(anybody: Caller, valkey: Valkey) -> None:
    message_id = quarantine(valkey)
    revealed = anybody.submit(f"/quarantine/{message_id}/reveal")
    assert "pa55" in revealed.text
    assert f"reveal a quarantined message {message_id} 1" in anybody.see("/audit")
    assert "pa55" not in anybody.get(f"/quarantine/{message_id}").text


def test_all_are_put_back_or_discarded_after_a_question(anybody: Caller, valkey: Valkey) -> None:
    for number in range(120):
        quarantine(valkey, b"%d" % number)
    assert "Discard 120 messages?" in anybody.see("/quarantine/discard")
    assert "Put 120 messages back?" in anybody.see("/quarantine/put-back")
    assert "120 messages put back" in anybody.do("/quarantine/put-back")
    assert valkey.client.lrange(QUEUE, 0, -1) == [b"%d" % number for number in range(119, -1, -1)]
    quarantine(valkey)
    assert "1 message discarded" in anybody.do("/quarantine/discard")
    assert "put back quarantined messages all 120" in anybody.see("/audit")


def test_a_message_is_discarded_after_a_question(anybody: Caller, valkey: Valkey) -> None:
    message_id = quarantine(valkey)
    assert "for good" in anybody.see(f"/quarantine/{message_id}/discard")
    assert valkey.client.xlen("quarantine") == 1
    assert "The message is discarded" in anybody.do(f"/quarantine/{message_id}/discard")
    assert valkey.client.xlen("quarantine") == 0


def test_the_quarantine_is_paged(anybody: Caller, valkey: Valkey) -> None:
    ids = [quarantine(valkey, b"%d" % n) for n in range(30)]
    first = anybody.get("/quarantine").text
    assert all(one in first for one in ids[5:])
    link = first.partition('rel="next" href="')[2].partition('"')[0]
    second = anybody.get(link).text
    assert all(one in second for one in ids[:5])
    assert 'rel="next"' not in second


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/quarantine/1-1", 404),
        ("/quarantine/1-2-3", 404),
        ("/quarantine?before=x", 400),
        ("/audit?before=x", 400),
    ],
)
def test_an_address_that_nobody_gave_is_refused(path: str, status: int, anybody: Caller) -> None:
    assert anybody.get(path).status_code == status


def test_the_audit_is_paged_and_bounded(anybody: Caller, valkey: Valkey) -> None:
    valkey.client.delete(audit.KEY)
    assert "Nobody has changed anything yet" in anybody.see("/audit")
    for n in range(30):
        audit.record(app, who="ada", what="try", which=f"job-{n}.", count=n)
    page = anybody.get("/audit").text
    assert "job-29." in page
    assert "job-4." not in page
    link = page.partition('rel="next" href="')[2].partition('"')[0]
    assert "ada try job-4. 4" in anybody.see(link)
    one, *_ = audit.newest(app, 1)
    assert (one.who, one.what, one.which, one.count) == ("ada", "try", "job-29.", 29)
    valkey.client.delete(audit.KEY)
