"""Handing mails to real SMTP servers: what is accepted, what may pass, what will not."""

from email import message_from_bytes
from email.message import EmailMessage

import pytest

from config.addresses import SmtpAddress, smtp_address
from config.secret import SecretStr
from tasks.work.errors import MailRefused, MailUnavailable
from tasks.work.mail import send
from tests.integration.smtp_desk import RIGHT, Desk, server
from tests.support.programs import free_port


def mail(to: str = "ann@example.com") -> EmailMessage:
    made = EmailMessage()
    made["From"] = "Expresslane <expresslane@example.com>"
    made["To"] = to
    made["Subject"] = "Hello"
    made.set_content("Hello")
    return made


def deliver(
    desk: Desk, message: EmailMessage | None = None, user: str = "", query: str = ""
) -> None:
    """Send a mail to a server that answers like `desk`."""
    options = {"authenticator": desk.log_in, "auth_require_tls": False} if user else {}
    with server(desk, **options) as smtp:
        url = f"smtp://{user}127.0.0.1:{smtp.port}{query}"
        send(message or mail(), smtp_address(SecretStr(url)))


def test_a_mail_arrives_as_it_was_made() -> None:
    desk = Desk()
    deliver(desk)
    (envelope,) = desk.accepted
    assert (envelope.mail_from, envelope.rcpt_tos) == (
        "expresslane@example.com",
        ["ann@example.com"],
    )
    assert isinstance(envelope.content, bytes)
    assert message_from_bytes(envelope.content)["Subject"] == "Hello"


def test_the_urls_user_and_password_are_used() -> None:
    desk = Desk()
    deliver(desk, user=f"shop:{RIGHT.get_secret_value()}@")
    assert (len(desk.accepted), len(desk.logins)) == (1, 1)


def test_a_wrong_password_is_refused() -> None:
    with pytest.raises(MailRefused, match="535"):
        deliver(Desk(), user="shop:wrong@")


def test_without_the_tls_that_the_url_asks_for_nothing_is_sent() -> None:
    desk = Desk()
    with pytest.raises(MailRefused, match="STARTTLS"):
        deliver(desk, query="?starttls=1")
    assert desk.accepted == []


@pytest.mark.parametrize("step", ["sender", "recipient", "data"])
def test_a_5xx_reply_is_refused(step: str) -> None:
    with pytest.raises(MailRefused, match="answered 550 No such user"):
        deliver(Desk(**{step: "550 No such user"}))


@pytest.mark.parametrize("step", ["sender", "recipient", "data"])
def test_a_4xx_reply_is_unavailable(step: str) -> None:
    with pytest.raises(MailUnavailable, match="answered 451 Too busy"):
        deliver(Desk(**{step: "451 Too busy"}))


def test_an_odd_goodbye_after_an_accepted_mail_is_no_failure() -> None:
    desk = Desk(quit="500 What?")
    deliver(desk)
    assert len(desk.accepted) == 1


def test_an_address_that_the_server_cannot_write_is_refused() -> None:
    with pytest.raises(MailRefused, match="set SMTP_URL to a server that can do it"):
        deliver(Desk(), mail("grüße@example.com"))


def test_nobody_listening_is_unavailable() -> None:
    with pytest.raises(MailUnavailable, match="check SMTP_URL"):
        send(mail(), SmtpAddress("127.0.0.1", free_port()))
