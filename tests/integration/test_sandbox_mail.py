"""The mail sandbox, as its own process and over real SMTP, and the inbox read from its Maildir."""

import shutil
import signal
import smtplib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from uuid import uuid4

import pytest

from checkout_demo.effects.errors import MailRefused, MailUnavailable
from checkout_demo.effects.receipt import compose, message_id, send
from checkout_demo.sandbox.inbox import received
from checkout_demo.sandbox.mail import MAX_SIZE
from tests.integration.sandboxes import MailProcess
from tests.support.programs import Program


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[MailProcess]:
    with MailProcess(tmp_path) as process:
        yield process


def receipt(key: str, *, subject: str = "Your order", text: str = "Thanks") -> EmailMessage:
    return compose(
        to_name="Zoë, Ltd.",
        to_address="zoe@example.com",
        subject=subject,
        html=f"<p>{text}</p>",
        text=text,
        message_id=message_id(key),
        sender="Expresslane Store <store@example.com>",
        now=datetime.now(UTC),
    )


def test_a_sent_mail_is_in_the_inbox_with_its_headers_decoded(mail: MailProcess) -> None:
    key = str(uuid4())
    send(receipt(key, subject="Grüße ✓", text="Schön"), mail.address, timeout=10)
    (found,) = received(mail.mail_dir)
    assert found.to == '"Zoë, Ltd." <zoe@example.com>'
    assert (found.subject, found.message_id) == ("Grüße ✓", message_id(key))
    assert (found.html.strip(), found.text.strip()) == ("<p>Schön</p>", "Schön")
    assert timedelta() <= datetime.now(UTC) - found.received_at < timedelta(minutes=5)


def test_an_international_address_gets_its_mail(mail: MailProcess) -> None:
    message = receipt("k")
    message.replace_header("To", "jörg@exämple.de")
    send(message, mail.address, timeout=10)
    assert [found.to for found in received(mail.mail_dir)] == ["jörg@exämple.de"]


def test_a_mail_server_that_takes_its_time_has_no_mail_before(tmp_path: Path) -> None:
    with MailProcess(tmp_path, latency_ms=60_000) as slow:
        client = smtplib.SMTP("127.0.0.1", slow.address.port, timeout=0.5)
        with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
            client.send_message(receipt("k"))
        client.close()
        assert received(slow.mail_dir) == []


def test_the_newest_mail_comes_first(mail: MailProcess) -> None:
    keys = [str(number) for number in range(12)]
    for key in keys:
        send(receipt(key), mail.address, timeout=10)
    newest_first = [message_id(key) for key in reversed(keys)]
    assert [found.message_id for found in received(mail.mail_dir)] == newest_first
    newest = received(mail.mail_dir, limit=2)
    assert [found.message_id for found in newest] == newest_first[:2]


def test_many_senders_at_once_lose_no_mail(mail: MailProcess) -> None:
    keys = [str(number) for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: send(receipt(key), mail.address, timeout=30), keys))
    found = {mail.message_id for mail in received(mail.mail_dir)}
    assert found == {message_id(key) for key in keys}


def test_an_accepted_mail_outlives_a_kill(mail: MailProcess, tmp_path: Path) -> None:
    send(receipt("before"), mail.address, timeout=10)
    mail.kill()
    with MailProcess(tmp_path) as again:
        send(receipt("after"), again.address, timeout=10)
    found = [mail.message_id for mail in received(tmp_path / "mail")]
    assert found == [message_id("after"), message_id("before")]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_even_with_a_session_open(mail: MailProcess, signum: int) -> None:
    with smtplib.SMTP(mail.address.host, mail.address.port, "localhost", timeout=10) as client:
        client.ehlo()
        mail.kill(signum)
        assert mail.process.wait(20) == 0
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()
    assert "Traceback" not in mail.output()


def test_one_line_is_logged_for_a_mail_without_address_or_content(mail: MailProcess) -> None:
    text = receipt("key-1", subject="private subject", text="private text").as_bytes()
    with smtplib.SMTP(mail.address.host, mail.address.port, "localhost", timeout=10) as client:
        client.sendmail("a@example.com", ["b@example.com", "c@example.com"], text)
    mail.wait_until_printed("mail stored")
    (line,) = [line for line in mail.output().splitlines() if "mail stored" in line]
    assert "message_id=key-1 " in line
    assert "recipients=2" in line
    assert "@example.com" not in mail.output()
    assert "private" not in mail.output()


def test_a_mail_that_is_too_large_is_refused_for_good(mail: MailProcess) -> None:
    with pytest.raises(MailRefused) as caught:
        send(receipt("k", text="x" * MAX_SIZE), mail.address, timeout=60)
    assert caught.value.status == 552
    assert received(mail.mail_dir) == []


def test_a_mail_that_cannot_be_stored_may_pass(mail: MailProcess) -> None:
    shutil.rmtree(mail.mail_dir)
    with pytest.raises(MailUnavailable) as caught:
        send(receipt("k"), mail.address, timeout=10)
    assert caught.value.status == 451


def test_a_taken_port_is_named(mail: MailProcess, tmp_path: Path) -> None:
    env = {"STATE_DIR": str(tmp_path / "other"), "SMTP_PORT": str(mail.address.port)}
    argv = [sys.executable, "-m", "checkout_demo.sandbox.mail"]
    with Program(argv, log=tmp_path / "second.log", env=env) as second:
        assert second.process.wait(20) == 1
        assert f"SMTP_PORT={mail.address.port} cannot be used" in second.output()
        assert "Traceback" not in second.output()


def test_an_inbox_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert received(tmp_path / "nothing") == []


def test_what_is_no_mail_hides_no_other(
    mail: MailProcess, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    send(receipt("good"), mail.address, timeout=10)
    arrivals = mail.mail_dir / "new"
    (arrivals / "1.garbage").write_bytes(bytes(range(256)) * 10)
    (arrivals / "2.empty").write_bytes(b"")
    (arrivals / "3.charset").write_bytes(
        b"To: a@b.c\r\nContent-Type: text/plain; charset=martian\r\n\r\nhello"
    )
    (arrivals / "4.directory").mkdir()
    (arrivals / "5.dangling").symlink_to(tmp_name := arrivals / "gone")
    assert not tmp_name.exists()
    assert [found.message_id for found in received(mail.mail_dir)] == [message_id("good")]
    # Where it goes depends on whether logging was set up in this process.
    assert "1.garbage" in capsys.readouterr().out + caplog.text


def test_a_mail_without_html_and_message_id_is_shown_with_what_it_has(mail: MailProcess) -> None:
    with smtplib.SMTP(mail.address.host, mail.address.port, "localhost", timeout=10) as client:
        client.sendmail("a@b.c", ["d@e.f"], "To: d@e.f\r\nSubject: Hi\r\n\r\nplain")
    (found,) = received(mail.mail_dir)
    assert (found.to, found.subject, found.message_id) == ("d@e.f", "Hi", "")
    assert (found.html, found.text.strip()) == ("", "plain")
