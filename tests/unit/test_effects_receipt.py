from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from checkout_demo.effects.errors import MailRefused
from checkout_demo.effects.receipt import compose, message_id

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
KEY = "0198c0de-1111-7222-8333-444455556666"


def composed(**changes: Any) -> EmailMessage:
    facts = {
        "to_name": "Ada Lovelace",
        "to_address": "ada@example.com",
        "subject": "Your order 7",
        "html": "<p>Thank you, Zoë</p>",
        "text": "Thank you, Zoë",
        "message_id": message_id(KEY),
        "sender": "Expresslane Store <store@example.com>",
        "now": NOW,
    }
    return compose(**{**facts, **changes})


def received(message: EmailMessage) -> EmailMessage:
    found = message_from_bytes(message.as_bytes(), EmailMessage, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def test_a_receipt_arrives_as_it_was_composed() -> None:
    mail = received(composed())
    assert mail["To"] == "Ada Lovelace <ada@example.com>"
    assert mail["From"] == "Expresslane Store <store@example.com>"
    assert mail["Subject"] == "Your order 7"
    assert mail["Date"].datetime == NOW
    assert mail["Message-ID"] == f"<{KEY}@expresslane.example>"


def test_the_text_comes_first_and_the_html_is_preferred() -> None:
    mail = received(composed())
    assert mail.get_content_type() == "multipart/alternative"
    parts = [(p.get_content_type(), p.get_content().strip()) for p in mail.iter_parts()]
    assert parts == [
        ("text/plain", "Thank you, Zoë"),
        ("text/html", "<p>Thank you, Zoë</p>"),
    ]


def test_one_key_has_one_message_id() -> None:
    assert message_id(KEY) == message_id(KEY) == f"<{KEY}@expresslane.example>"


@pytest.mark.parametrize("key", ["", "a b", "a@b", "a>", "ä", "a..b", ".a", "a\n", "k" * 65])
def test_a_key_that_cannot_be_a_message_id_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="a mail's key is"):
        message_id(key)


@pytest.mark.parametrize(
    "address", ["", "ada", "ada@", "a@b.c, d@e.f", "a@b.c\r\nBcc: d@e.f", "Ada <ada@example.com>"]
)
def test_a_bad_address_is_refused_for_good_and_not_repeated(address: str) -> None:
    with pytest.raises(MailRefused) as caught:
        composed(to_address=address)
    assert not address or address not in str(caught.value)


def test_a_bad_sender_is_the_programs_own_mistake() -> None:
    with pytest.raises(ValueError, match="write Name"):
        composed(sender="nobody")


def test_a_line_break_cannot_bring_in_a_header() -> None:
    mail = received(
        composed(to_name="Ada\r\nBcc: eve@example.com", subject="Hello\nBcc: eve@example.com")
    )
    assert "Bcc" not in mail
    assert mail["Subject"] == "Hello Bcc: eve@example.com"
    assert [a.addr_spec for a in mail["To"].addresses] == ["ada@example.com"]


def test_a_long_line_of_html_is_encoded_to_fit_smtp() -> None:
    html = f"<p>{'x' * 20_000}</p>"
    message = composed(html=html)
    assert max(len(line) for line in message.as_bytes().splitlines()) <= 998
    body = received(message).get_body(("html",))
    assert body is not None
    assert body.get_content().strip() == html


@examples(max_examples=150, deadline=None)
@given(name=st.text(max_size=150), subject=st.text(max_size=300))
def test_no_name_and_no_subject_reaches_another_header_or_person(name: str, subject: str) -> None:
    plain, mail = received(composed()), received(composed(to_name=name, subject=subject))
    assert mail.keys() == plain.keys()
    assert [a.addr_spec for a in mail["To"].addresses] == ["ada@example.com"]
    for header in ("From", "Date", "Message-ID"):
        assert mail[header] == plain[header]
