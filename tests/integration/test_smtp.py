"""The session with a mail server itself: how it opens, and that it is always closed."""

import asyncio
import smtplib
import socket

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from config.addresses import SmtpAddress
from tasks.smtp import session
from tests.integration.smtp_desk import WRONG, Desk, receipt, server

TIMEOUT = 0.3


class SlowDesk(Desk):
    """Takes a mail at once, and says so when other answers would have come too late."""

    async def handle_DATA(  # noqa: N802 (aiosmtpd looks for this name)
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        answer = await super().handle_DATA(server, session, envelope)
        await asyncio.sleep(2 * TIMEOUT)
        return answer


def test_it_opens_without_asking_the_dns_for_this_machines_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ask(_name: str = "") -> str:
        raise AssertionError("the DNS is asked")

    monkeypatch.setattr(socket, "getfqdn", ask)
    with server(Desk()) as smtp, session(smtp, timeout=10) as opened:
        assert opened.noop()[0] == 250


@pytest.mark.parametrize("farewell", ["221 Bye", "421 too late", "nonsense"])
def test_it_is_closed_whatever_the_farewell(farewell: str) -> None:
    with server(Desk(quit=farewell)) as smtp:
        with session(smtp, timeout=10) as opened:
            pass
        assert opened.sock is None


def test_a_server_that_is_slow_to_say_that_it_has_the_mail_gets_it_once() -> None:
    desk = SlowDesk()
    with server(desk) as smtp, session(smtp, timeout=TIMEOUT) as opened:
        assert opened.send_message(receipt(), "a@example.com", ["b@example.com"]) == {}
        # For every other answer, it is as patient as it was told.
        assert opened.sock is not None
        assert opened.sock.gettimeout() == TIMEOUT
    assert len(desk.accepted) == 1


def test_an_error_within_comes_out_as_it_is_and_closes_it() -> None:
    with server(Desk(recipient="550 No such user")) as smtp:
        with (
            pytest.raises(smtplib.SMTPRecipientsRefused),
            session(smtp, timeout=10) as opened,
        ):
            opened.sendmail("a@example.com", ["b@example.com"], b"")
        assert opened.sock is None


def test_a_failing_login_closes_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[smtplib.SMTP] = []
    close = smtplib.SMTP.close

    def noted(opened: smtplib.SMTP) -> None:
        closed.append(opened)
        close(opened)

    monkeypatch.setattr(smtplib.SMTP, "close", noted)
    desk = Desk()
    with server(desk, authenticator=desk.log_in, auth_require_tls=False) as smtp:
        address = SmtpAddress(smtp.host, smtp.port, username="shop", password=WRONG)
        with pytest.raises(smtplib.SMTPAuthenticationError), session(address, timeout=10):
            raise AssertionError("the session must not open")
    assert closed
