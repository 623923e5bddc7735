"""Settings: typed, and honest about all that is wrong with them."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from config.addresses import SmtpAddress
from config.secret import SecretStr
from config.settings import (
    ADDRESSES_FILE,
    BadSettings,
    Settings,
    credentials,
    load,
    without_password,
)


def test_every_setting_has_a_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in fields(Settings):
        monkeypatch.delenv(field.name.upper(), raising=False)
    # A demo that runs in this checkout must not be found.
    monkeypatch.chdir(tmp_path)
    assert load(Settings).broker_url.get_secret_value() == "redis://127.0.0.1:6379/0"


def test_all_bad_values_are_reported_at_once_with_what_to_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BROKER_URL", "amqp://guest:s3cret@localhost")
    monkeypatch.setenv("RESULT_EXPIRES", "soon")
    monkeypatch.setenv("LOG_LEVEL", "LOUD")
    with pytest.raises(BadSettings) as caught:
        load(Settings)
    message = str(caught.value)
    for name in ("BROKER_URL", "RESULT_EXPIRES", "LOG_LEVEL"):
        assert name in message
    assert "redis://host:port/db" in message
    assert "s3cret" not in message


def test_a_password_is_not_shown_even_if_python_cannot_read_the_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BROKER_URL", "redis://:s3℀cret@localhost/0")
    with pytest.raises(BadSettings) as caught:
        load(Settings)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["redis://localhost:sixty/0", "redis://localhost:99999/0", "redis://"]
)
def test_an_address_that_no_client_could_use_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("BROKER_URL", url)
    with pytest.raises(BadSettings, match="BROKER_URL"):
        load(Settings)


def test_the_mail_server_and_the_sender_are_checked_at_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SMTP_URL", "smtp://u:s3cret@host:0")
    monkeypatch.setenv("MAIL_FROM", "nobody")
    with pytest.raises(BadSettings) as caught:
        load(Settings)
    assert "SMTP_URL: write smtp://host:port" in str(caught.value)
    assert "MAIL_FROM: write Name <user@host>" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_the_mail_server_is_read_from_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", "smtps://u:s3cret@mail.example.com")
    found = load(Settings)
    password = SecretStr("s3cret")
    assert found.smtp == SmtpAddress("mail.example.com", 465, "tls", "u", password)
    assert "s3cret" not in f"{found!r} {found.smtp!r}"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        load(Settings).log_level = "DEBUG"  # type: ignore[misc] # which is the point


def test_a_password_is_not_shown_by_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_URL", "redis://worker:s3cret@localhost/0")
    assert "s3cret" not in repr(load(Settings))


def test_user_and_password_are_taken_out_of_an_address_and_unquoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BROKER_URL", "rediss://worker:s%40cret@example.com:6380/2?x=1")
    url = load(Settings).broker_url
    assert without_password(url) == "rediss://example.com:6380/2?x=1"
    assert credentials(url) == ("worker", "s@cret")


def test_a_worker_started_by_hand_finds_the_running_demo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("BROKER_URL")
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    (tmp_path / ADDRESSES_FILE).write_text("BROKER_URL='redis://127.0.0.1:7777/0'\n")
    assert load(Settings).broker_url.get_secret_value().endswith(":7777/0")


def test_the_environment_wins_over_the_running_demo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BROKER_URL", "redis://elsewhere:1/0")
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    (tmp_path / ADDRESSES_FILE).write_text("BROKER_URL='redis://127.0.0.1:7777/0'\n")
    assert "elsewhere" in load(Settings).broker_url.get_secret_value()
