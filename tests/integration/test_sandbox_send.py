"""Sending a mail to real SMTP servers that refuse it, put it off or break down."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from checkout_demo.effects.errors import EffectError, MailRefused, MailUnavailable
from checkout_demo.effects.receipt import send
from config.addresses import SmtpAddress
from tests.integration.smtp_desk import Desk, receipt, server
from tests.support.programs import free_port


def failure(desk: Desk, to_address: str = "bob@example.com") -> EffectError:
    with server(desk) as smtp, pytest.raises(EffectError) as caught:
        send(receipt(to_address), smtp, timeout=10, order_id="7")
    assert caught.value.order_id == "7"
    assert caught.value.__suppress_context__
    return caught.value


def test_a_mail_goes_from_the_sender_to_the_buyer() -> None:
    desk = Desk()
    with server(desk) as smtp:
        send(receipt(), smtp, timeout=10)
    (envelope,) = desk.accepted
    assert (envelope.mail_from, envelope.rcpt_tos) == ("store@example.com", ["bob@example.com"])


@pytest.mark.parametrize("step", ["sender", "recipient", "data"])
@pytest.mark.parametrize(
    ("code", "kind"),
    [(550, MailRefused), (552, MailRefused), (421, MailUnavailable), (451, MailUnavailable)],
)
def test_the_servers_first_digit_decides_whether_it_may_pass(
    step: str, code: int, kind: type[Exception]
) -> None:
    error = failure(Desk(**{step: f"{code} because"}))
    assert type(error) is kind
    assert (error.status, error.reason) == (code, "because")


def test_an_answer_that_is_no_smtp_may_pass() -> None:
    assert isinstance(failure(Desk(data="what?")), MailUnavailable)


def test_the_buyers_address_is_not_repeated_in_the_error() -> None:
    error = failure(Desk(recipient="550 <{address}>: no such user"))
    assert "bob@example.com" not in str(error)
    assert "no such user" in str(error)


def test_an_international_address_is_refused_by_a_server_that_takes_none() -> None:
    error = failure(Desk(), to_address="jörg@example.com")
    assert isinstance(error, MailRefused)
    assert "ASCII" in error.reason


@pytest.mark.parametrize("farewell", ["421 too late", "nonsense"])
def test_a_mail_that_was_accepted_is_sent_whatever_the_farewell(farewell: str) -> None:
    desk = Desk(quit=farewell)
    with server(desk) as smtp:
        send(receipt(), smtp, timeout=10)
    assert len(desk.accepted) == 1


def test_nobody_listening_may_pass() -> None:
    with pytest.raises(MailUnavailable) as caught:
        send(receipt(), SmtpAddress("127.0.0.1", free_port()), timeout=1)
    assert caught.value.status is None
    assert "ConnectionRefusedError" in caught.value.reason


def test_a_server_that_says_nothing_may_pass() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(MailUnavailable, match="timed out"),
    ):
        send(receipt(), SmtpAddress("127.0.0.1", silent.getsockname()[1]), timeout=0.1)


@contextmanager
def raw_server(talk: Callable[[socket.socket], object]) -> Iterator[SmtpAddress]:
    """Serve one connection by hand, for what no SMTP server does on purpose."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                talk(connection)

        thread = Thread(target=serve)
        thread.start()
        yield SmtpAddress("127.0.0.1", listener.getsockname()[1])
        thread.join(10)


@pytest.mark.parametrize(
    "greeting", [b"", b"421 busy\r\n", b"554 no mail here\r\n", b"HTTP/1.1\r\n"]
)
def test_a_connection_that_is_turned_away_may_pass(greeting: bytes) -> None:
    with (
        raw_server(lambda connection: connection.sendall(greeting)) as smtp,
        pytest.raises(MailUnavailable),
    ):
        send(receipt(), smtp, timeout=10)


def test_a_connection_that_breaks_amid_the_mail_may_pass() -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(b"220 hello\r\n")
        for _ in ("ehlo", "mail", "rcpt"):
            connection.recv(1024)
            connection.sendall(b"250 OK\r\n")
        connection.recv(1024)

    with raw_server(talk) as smtp, pytest.raises(MailUnavailable, match="SMTPServerDisconnected"):
        send(receipt(), smtp, timeout=10)
