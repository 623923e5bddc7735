"""A session with a mail server, secured and logged in, for whoever has a mail to send."""

import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from config.addresses import SmtpAddress


@contextmanager
def session(smtp: SmtpAddress, *, timeout: float) -> Iterator[smtplib.SMTP]:
    """Open a session up to the point where a mail may come, and close it whatever happens.

    `timeout` is in seconds and bounds each answer of the server. A mail that the server has
    accepted stays accepted: when the block ends well, a failing farewell is ignored.

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


def _connected(smtp: SmtpAddress, timeout: float) -> smtplib.SMTP:
    # By default, smtplib accepts any certificate.
    if smtp.security == "tls":
        tls = ssl.create_default_context()
        return smtplib.SMTP_SSL(smtp.host, smtp.port, _own_name(), timeout=timeout, context=tls)
    return smtplib.SMTP(smtp.host, smtp.port, _own_name(), timeout=timeout)


def _own_name() -> str:
    # By default, smtplib asks the DNS for this machine's full name, which can take many seconds.
    name = socket.gethostname()
    return name if "." in name else "[127.0.0.1]"
