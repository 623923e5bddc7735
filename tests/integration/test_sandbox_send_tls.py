"""Sending a mail over TLS, with a login, to real SMTP servers."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from checkout_demo.effects.errors import MailUnavailable
from checkout_demo.effects.receipt import send
from config.addresses import SmtpAddress
from config.secret import SecretStr
from tests.integration.smtp_desk import RIGHT, WRONG, Desk, receipt, server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificate, is not on this machine")
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(file), "-out", str(file.with_suffix(".crt"))),
        ],
        check=True,
        capture_output=True,
    )
    file.write_text(file.read_text() + file.with_suffix(".crt").read_text())
    return file


@contextmanager
def tls_server(
    desk: Desk, certificate: Path, security: str, password: SecretStr = RIGHT
) -> Iterator[SmtpAddress]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with server(
        desk,
        authenticator=desk.log_in,
        auth_required=security == "starttls",
        auth_require_tls=security == "starttls",
        **{"tls_context" if security == "starttls" else "ssl_context": context},
    ) as smtp:
        yield SmtpAddress(
            smtp.host,
            smtp.port,
            "starttls" if security == "starttls" else "tls",
            "shop",
            password,
        )


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_trusted_server_gets_the_login_and_the_mail(
    certificate: Path, security: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
    desk = Desk()
    with tls_server(desk, certificate, security) as smtp:
        send(receipt(), smtp, timeout=10)
    assert desk.logins == [b"shop:s3cret"]
    assert len(desk.accepted) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_that_is_not_trusted_gets_neither(certificate: Path, security: str) -> None:
    desk = Desk()
    with (
        tls_server(desk, certificate, security) as smtp,
        pytest.raises(MailUnavailable, match="certificate verify failed"),
    ):
        send(receipt(), smtp, timeout=10)
    assert (desk.logins, desk.accepted) == ([], [])


def test_a_wrong_password_may_pass_and_is_not_shown(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
    desk = Desk()
    with (
        tls_server(desk, certificate, "starttls", WRONG) as smtp,
        pytest.raises(MailUnavailable) as caught,
    ):
        send(receipt(), smtp, timeout=10)
    assert caught.value.status == 535
    assert "SMTP_URL" in str(caught.value)
    assert WRONG.get_secret_value() not in f"{caught.value} {caught.value.args}"


def test_a_server_without_starttls_is_not_spoken_to_in_the_clear() -> None:
    desk = Desk()
    with server(desk) as smtp, pytest.raises(MailUnavailable, match="SMTPNotSupportedError"):
        send(receipt(), SmtpAddress(smtp.host, smtp.port, "starttls"), timeout=10)
    assert desk.accepted == []
