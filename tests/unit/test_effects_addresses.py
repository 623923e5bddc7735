import pytest
from pydantic import SecretStr

from checkout_demo.effects.addresses import SmtpAddress, http_url, mailbox, public_url, smtp_address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("smtp://127.0.0.1:8025", SmtpAddress("127.0.0.1", 8025)),
        ("smtp://mail.example.com/", SmtpAddress("mail.example.com", 25)),
        ("smtp://mail.example.com?starttls=0", SmtpAddress("mail.example.com", 25)),
        ("smtp://mail.example.com?starttls=1", SmtpAddress("mail.example.com", 587, "starttls")),
        ("smtps://mail.example.com", SmtpAddress("mail.example.com", 465, "tls")),
        (
            "smtp://bob:p%40ss%2F@mail.example.com:2525?starttls=1",
            SmtpAddress("mail.example.com", 2525, "starttls", "bob", SecretStr("p@ss/")),
        ),
    ],
)
def test_a_mail_servers_address_is_read(url: str, address: SmtpAddress) -> None:
    assert smtp_address(SecretStr(url)) == address


@pytest.mark.parametrize(
    "url",
    [
        *("", "mail.example.com", "http://mail", "smtp://", "smtp://secret@"),
        *("smtp://u:secret@h:99999", "smtp://u:secret@h:0", "smtp://u:secret@h:port"),
        *("smtp://u:secret@h/inbox", "smtp://u:secret@h?starttls=yes", "smtp://u:secret@h?tls=1"),
        *("smtps://u:secret@h?starttls=1", "smtp://u:secret/1@h", "smtp://u:1#secret@h"),
        *("smtp://u:secret[@h", "smtp://u:secret\u2100@h", "smtp://u:secretü@h"),
        "smtp://u:secret@h?starttls=1&starttls=0",
    ],
)
def test_what_is_no_mail_server_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"write|ASCII") as caught:
        smtp_address(SecretStr(url))
    assert "secret" not in str(caught.value)


def test_an_address_does_not_show_its_password() -> None:
    assert "secret" not in repr(smtp_address(SecretStr("smtp://u:secret@h")))


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


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("bob@example.com", "", "bob@example.com"),
        ("Expresslane Store <store@example.com>", "Expresslane Store", "store@example.com"),
        ('"Co., Ltd." <a@localhost>', "Co., Ltd.", "a@localhost"),
        ("Jörg <jörg@exämple.de>", "Jörg", "jörg@exämple.de"),
    ],
)
def test_a_mail_address_is_read(text: str, name: str, address: str) -> None:
    found = mailbox(text)
    assert (found.display_name, found.addr_spec) == (name, address)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "bob",
            "@example.com",
            "bob@",
            "bob@example..com",
            "a@b@c",
            "a b@c.d",
            "<>",
            "Bob <>",
        ),
        *("a@b.c, d@e.f", "Bob\r\nBcc: x@y.z <a@b.c>", "a@b.c\n", "a\0@b.c", "Co. <a@b.c>"),
        *("a@b.c\u2028", "group: a@b.c, d@e.f;", "[", "a@[", '"'),
    ],
)
def test_what_is_not_one_mail_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write Name <user@host>"):
        mailbox(text)
