"""The mail with a copy of a page: its headers cannot be forged, and it has two alternatives."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.work.errors import MailRefused
from tasks.work.page import Page
from tasks.work.page_mail import checked_address, compose

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PAGE = Page("https://example.com/a?b=1&c=2", "text/html", "<title>News</title><p>Grüße</p>")
FROM = "Expresslane <expresslane@example.com>"


def mail(page: Page = PAGE, subject: str | None = None, job_id: str = "job-1") -> EmailMessage:
    """Compose a mail, and read it back from its bytes as its recipient would."""
    made = compose(page, to="ann@example.com", sender=FROM, subject=subject, job_id=job_id, now=NOW)
    read = message_from_bytes(made.as_bytes(), _class=EmailMessage, policy=default)
    assert isinstance(read, EmailMessage)
    return read


def part(read: EmailMessage, kind: str) -> str:
    body = read.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def test_it_holds_html_with_a_text_alternative() -> None:
    read = mail()
    assert read.get_content_type() == "multipart/alternative"
    assert [each.get_content_type() for each in read.iter_parts()] == ["text/plain", "text/html"]
    assert "<p>Grüße</p>" in part(read, "html")
    assert part(read, "plain").splitlines()[2] == "Grüße"


def test_both_parts_say_which_page_it_is_a_copy_of() -> None:
    assert part(mail(), "plain").startswith("Copy of https://example.com/a?b=1&c=2\r\n")
    assert 'Copy of <a href="https://example.com/a?b=1&amp;c=2">' in part(mail(), "html")


def test_its_headers_name_sender_recipient_and_date() -> None:
    read = mail()
    assert (read["From"], read["To"]) == (FROM, "ann@example.com")
    assert read["Date"].datetime == NOW


def test_the_message_id_is_made_of_the_job_id_and_stays_the_same() -> None:
    assert mail()["Message-ID"] == mail()["Message-ID"] == "<job-1@example.com>"


def test_a_job_id_cannot_end_the_message_id() -> None:
    assert mail(job_id="a>\r\nBcc: b@c")["Message-ID"] == "<a%3E%0D%0ABcc%3A%20b%40c@example.com>"


def test_the_subject_is_the_given_one_or_the_title_or_the_url() -> None:
    assert mail(subject="Mine")["Subject"] == "Mine"
    assert mail()["Subject"] == "News"
    assert mail(Page("https://example.com/", "text/html", "x"))["Subject"] == "https://example.com/"


@given(st.text(), st.text())
def test_no_subject_and_no_title_can_add_a_header(subject: str, title: str) -> None:
    read = mail(Page("https://example.com/", "text/html", f"<title>{title}"), subject)
    assert sorted(map(str.lower, read.keys())) == sorted(
        ["from", "to", "subject", "date", "message-id", "mime-version", "content-type"]
    )


@pytest.mark.parametrize("sender", ["", "nobody", "a@b.example, c@d.example", "<", "a@"])
def test_a_sender_that_is_no_address_is_refused_by_the_settings_name(sender: str) -> None:
    with pytest.raises(MailRefused, match="MAIL_FROM: write it as"):
        compose(PAGE, to="ann@example.com", sender=sender, subject="x", job_id="1", now=NOW)


def test_spaces_around_an_address_are_dropped() -> None:
    assert checked_address(" ann@example.com\n") == "ann@example.com"


@pytest.mark.parametrize(
    "to",
    [
        *("", "ann", "@example.com", "ann@", "ann@@example.com", "a b@example.com"),
        *(
            "ann@example.com, bob@example.com",
            "Ann <ann@example.com>",
            "ann@example.com\r\nBcc: x@y",
        ),
        *("ann@exam\x00ple.com", "a" * 250 + "@example.com", 'a"b@example.com'),
    ],
)
def test_what_is_not_one_address_is_refused(to: str) -> None:
    with pytest.raises(MailRefused):
        checked_address(to)
