"""The message of a retried job: all that it was, and nothing of the run before."""

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest
from celery.app.task import Context
from hypothesis import given
from hypothesis import strategies as st
from kombu.compression import compress
from kombu.serialization import dumps

from tasks.app import App
from tasks.errors import BadJob
from tasks.failed.message import CHANGED, arguments, compose, run_again
from tasks.failed.options import seconds
from tasks.message import BadHeaders, check_headers
from tasks.terminal import ago, plain

APP = App("unit", set_as_current=False)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def sent(**changes: Any) -> bytes:
    fields = {"id": "j", "task": "t", "args": [1, "zwei"], "kwargs": {"b": None}}
    return compose(APP, Context({**fields, **changes}), "default")


@given(args=st.lists(JSON, max_size=3), kwargs=st.dictionaries(st.text(), JSON, max_size=3))
def test_arguments_come_back_as_they_were_sent(args: list[Any], kwargs: dict[str, Any]) -> None:
    again = run_again(sent(args=args, kwargs=kwargs), "default")
    assert arguments(json.loads(again)) == (tuple(args), kwargs)


def test_the_body_of_a_retried_job_is_left_as_it_is_byte_for_byte() -> None:
    before = sent()
    assert json.loads(run_again(before, "default"))["body"] == json.loads(before)["body"]


def test_chain_chord_callbacks_and_errbacks_stay_where_they_are() -> None:
    parts = {"chain": [{"task": "next"}], "chord": {"task": "body"}, "callbacks": [{"task": "ok"}]}
    before = json.loads(sent(**parts, errbacks=[{"task": "sorry"}]))
    again = json.loads(run_again(json.dumps(before).encode(), "default", {"other": 1}))
    for envelope in (before, again):
        envelope["embed"] = json.loads(b64decode(envelope["body"]))[2]
    assert again["embed"] == before["embed"] == {**parts, "errbacks": [{"task": "sorry"}]}


def test_each_retry_is_counted() -> None:
    once = run_again(sent(), "default")
    twice = run_again(once, "default")
    assert [json.loads(message)["headers"]["reruns"] for message in (once, twice)] == [1, 2]


def test_limits_and_the_callers_headers_stay() -> None:
    headers = json.loads(run_again(sent(timelimit=[9, 5], shop="berlin"), "default"))["headers"]
    assert (headers["timelimit"], headers["shop"]) == ([9, 5], "berlin")


def test_what_belongs_to_one_delivery_goes() -> None:
    headers = json.loads(run_again(sent(deaths=2, redelivered=True), "default"))["headers"]
    assert not {"deaths", "redelivered"} & headers.keys()


def test_a_compressed_message_can_be_read_and_changed() -> None:
    envelope = json.loads(sent())
    kind, encoding, body = dumps([[1], {"b": 2}, {}], "json")
    packed, compression = compress(body.encode(), "gzip")
    envelope.update(body=b64encode(packed).decode())
    envelope["content-type"], envelope["content-encoding"] = kind, encoding
    envelope["headers"]["compression"] = compression
    assert arguments(envelope) == ((1,), {"b": 2})
    changed = json.loads(run_again(json.dumps(envelope).encode(), "default", {"b": 3}))
    assert arguments(changed) == ((), {"b": 3})


def test_changed_data_are_not_shown_to_those_who_watch() -> None:
    headers = json.loads(run_again(sent(), "default", {"card": "4111"}))["headers"]
    assert headers["kwargsrepr"] == CHANGED


def test_data_that_json_cannot_carry_are_refused() -> None:
    with pytest.raises(BadJob):
        run_again(sent(), "default", {"what": object()})


@pytest.mark.parametrize("reruns", ["1", -1, 1.5, [1]])
def test_a_message_with_a_bad_count_of_retries_is_no_job(reruns: object) -> None:
    with pytest.raises(BadHeaders, match="reruns must be a count"):
        check_headers({"id": "j", "task": "t", "reruns": reruns})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("15m", 900), ("2h", 7_200), ("1.5d", 129_600), ("4w", 2_419_200)],
)
def test_times_are_read_in_every_unit(text: str, expected: float) -> None:
    assert seconds(None, None, text) == expected  # type: ignore[arg-type] # click's, not looked at


@pytest.mark.parametrize(
    ("age", "shown"),
    [(0.2, "just now"), (-3, "just now"), (59, "59s ago"), (3_700, "1h ago"), (200_000, "2d ago")],
)
def test_ages_are_shown_in_their_largest_unit(age: float, shown: str) -> None:
    assert ago(age) == shown


@given(st.text())
def test_plain_text_is_one_line_without_commands(text: str) -> None:
    shown = plain(text)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)
