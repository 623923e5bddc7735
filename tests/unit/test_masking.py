"""What nobody should read by the way: the rules, on all shapes that data and texts have."""

import json
import logging
import socket
from collections.abc import Callable
from typing import Literal

import pytest

from config import logging as our_logging
from config.masking import HIDDEN, LONGEST, Masking, restored
from config.settings import Settings
from tasks.celery import app

RULES = Masking(("email", "token", "password", "card"))


@pytest.mark.parametrize(
    "name",
    [
        *("email", "EMail", "e-mail", "customer_email", "emails", "email2", "my.email.here"),
        *("apiToken", "APIToken", "API_TOKENS", "user token"),
        *("card", "CARD", "card_number", "cardNumber", "CardNumber", "card-number", "lastCard"),
    ],
)
def test_a_value_whose_name_has_such_a_word_is_hidden(name: str) -> None:
    assert RULES.value({"a": [{name: "x", "order": 4}]}) == {"a": [{name: HIDDEN, "order": 4}]}
    assert "4111" not in RULES.text(f'{{"{name}": "4111 1", "order": 4}}')


@pytest.mark.parametrize("name", ["discarded", "postcard", "scorecards", "cardiology", "tokenizer"])
def test_a_word_that_only_has_the_letters_of_one_hides_nothing(name: str) -> None:
    assert RULES.value({name: 4111}) == {name: 4111}
    for text in (f'{{"{name}": 4111}}', f"call({name}=4111)", f"{name}: 4111"):
        assert RULES.text(text) == text


def test_a_rule_of_several_words_hides_them_however_they_are_written() -> None:
    rules = Masking(("api_key",))
    hidden = ("api_key", "apiKey", "APIKey", "api-key", "apikey", "my_api_keys", "X-Api-Key")
    assert [name for name in hidden if not rules.hides(name)] == []
    assert not any(map(rules.hides, ("api", "key", "key_api", "api_version_key")))


def test_a_value_of_any_kind_is_hidden_and_none_stays_none() -> None:
    found = RULES.value({"token": {"a": 1}, "password": 7, "card": ["x"], "email": None})
    assert found == {"token": HIDDEN, "password": HIDDEN, "card": HIDDEN, "email": None}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no mail to ada@example.com.", "no mail to ***@example.com."),
        ("redis://ada:pa55@db.example.com:6379/0 is away", "redis://ada:***@db.example.com:6379/0"),
        ("redis://:pa55@127.0.0.1/0", "redis://:***@127.0.0.1/0"),
        ("GET /reset?token=abc&x=1", "GET /reset?token=***&x=1"),
        ("{'api_token': 'abc', 'x': 1}", "{'api_token': '***', 'x': 1}"),
        ('{"password":"a\\"b","n":2}', '{"password":"***","n":2}'),
        ("Charge(card='4111 1111', n=2)", "Charge(card='***', n=2)"),
        ("X-Token: Bearer abc\nHost: here", "X-Token: ***\nHost: here"),
        ("{'data': {'token': 'abc', 'x': 1}}", "{'data': {'token': '***', 'x': 1}}"),
        (r'{"in": "{\"card\": \"4111 1\", \"n\": 2}"}', r"{\"card\": \"***\", \"n\": 2}"),
        ("token=abc token=abc", "token=*** token=***"),
    ],
)
def test_a_text_shows_no_secret(text: str, shown: str) -> None:
    assert shown in RULES.text(text)
    assert not any(secret in RULES.text(text) for secret in ("pa55", "abc", "4111", "ada@"))


@pytest.mark.parametrize(
    "text",
    [
        "job 6f1d was refused: order 4",
        "http://127.0.0.1:8000/orders/1?page=2",
        'File "email_job.py", line 7, in run',
        f"celery@{socket.gethostname()} ready.",
    ],
)
def test_a_text_without_a_secret_stays_as_it_is(text: str) -> None:
    assert RULES.text(text) == text


def test_a_huge_text_is_cut_before_it_is_looked_through() -> None:
    found = RULES.text("x" * LONGEST + "ada@example.com")
    assert found.endswith("characters left out")
    assert "ada" not in found


@pytest.mark.parametrize("rest", ["\\" * 90_000, "a.b_" * 20_000, "'\"" * 40_000, "a:" * 40_000])
def test_a_hostile_text_is_looked_through_once(rest: str) -> None:
    # One that is looked through again from each of its characters takes minutes.
    assert RULES.text(f"token={rest}").startswith("token=")


def test_without_words_texts_are_masked_still() -> None:
    assert Masking(()).value({"email": "x", "to": "a@b.de"}) == {"email": "x", "to": "***@b.de"}
    assert Settings(mask="none").masked_names == ()


def _replace(data: dict[str, object]) -> dict[str, object]:
    return {**data, "order": 5}


def _remove(data: dict[str, object]) -> dict[str, object]:
    return {"email": data["email"]}


@pytest.mark.parametrize("change", [dict, _replace, _remove])
def test_a_hidden_value_that_nobody_changed_is_restored(
    change: Callable[[dict[str, object]], dict[str, object]],
) -> None:
    data: dict[str, object] = {"order": 4, "email": "ada@example.com", "to": ["a@b.de", "c"]}
    changed = change(RULES.value(data))
    assert restored(changed, data, RULES.value) == change(data)


def test_a_hidden_value_that_was_changed_is_what_it_was_changed_to() -> None:
    data = {"to": ["a@b.de", {"token": "x"}], "email": "old"}
    changed = {"to": ["***@b.de", {"token": "y"}, "new"], "email": "new"}
    assert restored(changed, data, RULES.value) == {
        "to": ["a@b.de", {"token": "y"}, "new"],
        "email": "new",
    }


def test_positional_arguments_are_hidden_where_the_code_is_unknown() -> None:
    shown, _ = app.amqp.reprs("somewhere.else", ("secret", 4), None)  # type: ignore[attr-defined] # of our AMQP
    assert shown == "('***', '***')"


def test_positional_arguments_go_by_the_names_in_the_code() -> None:
    @app.task(name="tests.masked_positions")
    def masked_positions(order: int, email: str, *rest: str) -> None:
        """Do nothing."""

    try:
        args = (4, "ada", "x", "y")
        shown, _ = app.amqp.reprs("tests.masked_positions", args, None)  # type: ignore[attr-defined] # of our AMQP
        assert shown == "(4, '***', 'x', '***')"
    finally:
        app.tasks.unregister("tests.masked_positions")


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_log_line_shows_a_secret(
    form: Literal["json", "console"], capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        our_logging.configure(Settings(log_format=form))
        try:
            raise ValueError("no answer for ada@example.com, token=pa55")  # noqa: TRY301 (any error)
        except ValueError:
            logging.getLogger("tests").exception("mail to %s failed", "ada@example.com")
        shown = capsys.readouterr().err
        assert "no answer for ***@example.com" in shown
        assert "Traceback" in shown
        assert not any(secret in shown for secret in ("ada@", "pa55"))
        if form == "json":
            json.loads(shown)
    finally:
        root.handlers[:], root.level = handlers, level
