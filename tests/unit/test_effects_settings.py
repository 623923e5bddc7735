import logging
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from checkout_demo.settings import StoreSettings, http_url, public_url, store_settings
from config.addresses import SmtpAddress
from config.secret import SecretStr
from config.settings import ADDRESSES_FILE, BadSettings, load


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for field in fields(StoreSettings):
        monkeypatch.delenv(field.name.upper(), raising=False)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    store_settings.cache_clear()
    yield
    store_settings.cache_clear()


def settings(monkeypatch: pytest.MonkeyPatch, **values: str) -> StoreSettings:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load(StoreSettings)


def test_with_nothing_set_everything_is_on_this_machine(tmp_path: Path) -> None:
    found = store_settings()
    assert make_url(found.database).database == str(tmp_path / "store.db")
    assert found.erp.get_secret_value() == "http://127.0.0.1:8001"
    assert found.smtp == SmtpAddress("127.0.0.1", 8025)
    assert found.store == "http://127.0.0.1:8000"
    assert (found.mail_dir, found.erp_database) == (tmp_path / "mail", tmp_path / "erp.db")
    assert (found.flower_port, found.checkout_mode) == (5555, "deferred")
    assert found.mail_from == "Expresslane Store <store@example.com>"
    assert (found.erp_timeout, found.smtp_timeout) == (5, 10)


def test_the_addresses_follow_the_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch, STORE_PORT="9000", ERP_PORT="9001", SMTP_PORT="9025")
    assert found.store == "http://127.0.0.1:9000"
    assert found.erp.get_secret_value() == "http://127.0.0.1:9001"
    assert found.smtp == SmtpAddress("127.0.0.1", 9025)


def test_a_given_address_is_stronger_than_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(
        monkeypatch,
        ERP_PORT="9001",
        ERP_URL="https://u:p@erp.example.com/",
        SMTP_PORT="9025",
        SMTP_URL="smtps://mail.example.com",
        STORE_URL="https://store.example.com/",
    )
    assert found.erp.get_secret_value() == "https://u:p@erp.example.com"
    assert found.smtp == SmtpAddress("mail.example.com", 465, "tls")
    assert found.store == "https://store.example.com"


def test_a_running_demos_addresses_are_found(tmp_path: Path) -> None:
    (tmp_path / ADDRESSES_FILE).write_text("ERP_PORT=9001\nSMTP_URL=smtp://127.0.0.1:9025\n")
    found = store_settings()
    assert found.erp.get_secret_value() == "http://127.0.0.1:9001"
    assert found.smtp == SmtpAddress("127.0.0.1", 9025)


@pytest.mark.parametrize("name", ["with space", "with#hash", "with?mark", "with%41", "mit-ä"])
def test_the_default_database_is_below_any_state_dir(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    found = settings(monkeypatch, STATE_DIR=str(tmp_path / name))
    assert make_url(found.database).database == str(tmp_path / name / "store.db")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_reached_with_psycopg_3(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    found = settings(monkeypatch, DATABASE_URL=f"{scheme}://u:p%40s@db:5433/shop?sslmode=require")
    assert found.database == "postgresql+psycopg://u:p%40s@db:5433/shop?sslmode=require"


def test_a_sqlite_file_of_ones_own_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch, DATABASE_URL="sqlite:///shop.db")
    assert found.database == "sqlite:///shop.db"


@pytest.mark.parametrize(
    "url",
    [
        *("secret", "mysql://u:secret@db/shop", "postgresql+asyncpg://u:secret@db/shop"),
        *("postgresql://u:secret@db:port/shop", "postgresql://u:secret@db:99999/shop"),
        *("sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite://secret/shop.db"),
    ],
)
def test_another_database_is_refused_without_repeating_its_address(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    with pytest.raises(
        BadSettings, match=r"DATABASE_URL: write sqlite:///.* or postgresql://"
    ) as e:
        settings(monkeypatch, DATABASE_URL=url)
    assert "secret" not in str(e.value)


def test_all_bad_values_are_reported_at_once_with_what_to_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(BadSettings) as caught:
        settings(
            monkeypatch,
            DATABASE_URL="mysql://u:secret1@db/shop",
            ERP_URL="ftp://u:secret2@erp",
            SMTP_URL="http://u:secret3@mail",
            STORE_URL="https://u:secret4@store",
            MAIL_FROM="secret5",
            STORE_PORT="0",
            ERP_PORT="65536",
            SMTP_PORT="many",
            CHECKOUT_MODE="sometimes",
            ERP_TIMEOUT="0",
            SMTP_TIMEOUT="-1",
        )
    lines = dict(line.strip().split(": ", 1) for line in str(caught.value).splitlines()[1:-1])
    assert set(lines) == {
        *("DATABASE_URL", "ERP_URL", "SMTP_URL", "STORE_URL", "MAIL_FROM", "STORE_PORT"),
        *("ERP_PORT", "SMTP_PORT", "CHECKOUT_MODE", "ERP_TIMEOUT", "SMTP_TIMEOUT"),
    }
    assert lines["ERP_URL"] == "write http://host:port or https://user:password@host:port"
    assert lines["CHECKOUT_MODE"] == "Input should be 'deferred' or 'inline'"
    assert "65535" in lines["ERP_PORT"]
    assert "secret" not in str(caught.value)


def test_no_password_is_shown_by_a_repr_or_in_a_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = settings(
        monkeypatch,
        DATABASE_URL="postgresql://u:hunter2@db/shop",
        ERP_URL="https://u:hunter2@erp",
        SMTP_URL="smtp://u:hunter2@mail",
    )
    logging.getLogger("test").warning("%s %r %s %r", found, found, found.erp, found.smtp)
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("https://u:p%40@erp.example.com/api/", "https://u:p%40@erp.example.com/api"),
    ],
)
def test_an_http_services_address_loses_the_slash_at_its_end(url: str, checked: str) -> None:
    assert http_url(SecretStr(url)).get_secret_value() == checked


@pytest.mark.parametrize(
    "url",
    [
        *("", "erp", "ftp://u:secret@h", "http://u:secret@", "http://u:secret@h:x", "http://h?a=1"),
        *("http://u:12/secret@h", "http://u:secret#1@h", "http://u:secret\u2100@h", "http://h#a"),
    ],
)
def test_what_is_no_http_service_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="write") as caught:
        http_url(SecretStr(url))
    assert "secret" not in str(caught.value)


def test_a_public_address_is_http_and_holds_no_login() -> None:
    assert public_url("https://store.example.com/") == "https://store.example.com"
    for bad in ("https://u:secret@store.example.com", "store.example.com", "mailto:a@b.example"):
        with pytest.raises(ValueError, match="write the public address") as caught:
            public_url(bad)
        assert "secret" not in str(caught.value)
