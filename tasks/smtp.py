"""A session with a mail server, secured and logged in, for whoever has a mail to send."""

import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from config.addresses import SmtpAddress

ACCEPTING_SECONDS = 120.0
"""How long the answer to a mail's content is waited for, at least.

A server that has taken the mail and is slow to say so would get it again. RFC 5321, 4.5.3.2.6, asks
for ten minutes for that reason; a job has three to live (`task_time_limit`).
"""

_KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}
"""A server whose machine is gone is noticed within 11 seconds, however long its answer may take."""


@contextmanager
def session(smtp: SmtpAddress, *, timeout: float) -> Iterator[smtplib.SMTP]:
    """Open a session up to the point where a mail may come, and close it whatever happens.

    `timeout` is in seconds and bounds each answer of the server, but for the one to a mail's
    content: `ACCEPTING_SECONDS`. A mail that the server has accepted stays accepted: when the block
    ends well, a failing farewell is ignored.

    Raises:
        smtplib.SMTPException: when the server turns the session away, or cannot do what it needs.
        ssl.SSLCertVerificationError: when the server's certificate is not valid.
        OSError: when there is no connection; the two above are OSErrors as well.

    """
    server = _connected(smtp, timeout)
    try:
        if smtp.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        server.ehlo_or_helo_if_needed()
        if smtp.username:
            server.login(smtp.username, smtp.password.get_secret_value() if smtp.password else "")
        yield server
        with suppress(OSError):
            server.quit()
    finally:
        server.close()


class _Patient(smtplib.SMTP):
    """Waits longer for the one answer whose loss would send a mail twice."""

    def data(self, msg: Any) -> tuple[int, bytes]:  # noqa: ANN401 (as smtplib has it)
        """Send the mail's content, and return the server's answer."""
        self._wait_for(max(self.timeout, ACCEPTING_SECONDS))
        try:
            return super().data(msg)
        finally:
            self._wait_for(self.timeout)

    def _wait_for(self, seconds: float) -> None:
        # There is no connection any more when the server was cut off.
        if self.sock is not None:
            self.sock.settimeout(seconds)


class _PatientTls(_Patient, smtplib.SMTP_SSL):
    """The same, secured from the first byte."""


def _connected(smtp: SmtpAddress, timeout: float) -> smtplib.SMTP:
    server: smtplib.SMTP
    # By default, smtplib accepts any certificate.
    if smtp.security == "tls":
        tls = ssl.create_default_context()
        server = _PatientTls(smtp.host, smtp.port, _own_name(), timeout=timeout, context=tls)
    else:
        server = _Patient(smtp.host, smtp.port, _own_name(), timeout=timeout)
    if server.sock is not None:
        _keep_alive(server.sock)
    return server


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        # Not every system has them by these names.
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _own_name() -> str:
    # By default, smtplib asks the DNS for this machine's full name, which can take many seconds.
    name = socket.gethostname()
    return name if "." in name else "[127.0.0.1]"
