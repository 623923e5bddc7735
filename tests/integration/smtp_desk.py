"""Real SMTP servers that answer as a test tells them, and a mail to send to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from checkout_demo.effects.receipt import compose
from config.addresses import SmtpAddress
from config.secret import SecretStr
from tests.support.programs import free_port

RIGHT, WRONG = SecretStr("s3cret"), SecretStr("wr0ng")


class Desk:
    """Answers each step of a session as told, and keeps what it accepts."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.accepted: list[Envelope] = []
        self.logins: list[bytes] = []

    async def handle_MAIL(  # noqa: N802 (aiosmtpd looks for this name)
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        envelope.mail_from = address
        return self.answers.get("sender", "250 OK")

    async def handle_RCPT(  # noqa: N802 (aiosmtpd looks for this name)
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.answers.get("recipient", "250 OK").format(address=address)

    async def handle_DATA(  # noqa: N802 (aiosmtpd looks for this name)
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        self.accepted.append(envelope)
        return self.answers.get("data", "250 OK")

    async def handle_QUIT(  # noqa: N802 (aiosmtpd looks for this name)
        self, _server: SMTP, _session: Session, _envelope: Envelope
    ) -> str:
        return self.answers.get("quit", "221 Bye")

    def log_in(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: LoginPassword
    ) -> AuthResult:
        self.logins.append(data.login + b":" + data.password)
        return AuthResult(success=data.password == RIGHT.get_secret_value().encode(), handled=False)


@contextmanager
def server(desk: Desk, **options: Any) -> Iterator[SmtpAddress]:
    options = {"server_hostname": "localhost", "enable_SMTPUTF8": False, **options}
    controller = Controller(desk, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield SmtpAddress("127.0.0.1", controller.port)
    finally:
        controller.stop()


def receipt(to_address: str = "bob@example.com") -> EmailMessage:
    return compose(
        to_name="Bob",
        to_address=to_address,
        subject="Your order",
        html="<p>Thanks</p>",
        text="Thanks",
        message_id="<k@expresslane.example>",
        sender="Store <store@example.com>",
        now=datetime(2026, 11, 23, tzinfo=UTC),
    )
