"""Addresses of mail servers and of people, as the settings write them."""

import pytest

from config.addresses import SmtpAddress, mailbox, smtp_address
from config.secret import SecretStr


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
        *("", "mail.example.com", "http://mail", "smtp://", "smtp://secret@", "smtp://host:0"),
        *("smtp://u:secret@h:99999", "smtp://u:secret@h:0", "smtp://u:secret@h:port"),
        *("smtp://u:secret@h/inbox", "smtp://u:secret@h?starttls=yes", "smtp://u:secret@h?tls=1"),
        *("smtps://u:secret@h?starttls=1", "smtps://host?starttls=1", "smtp://host?starttls=yes"),
        *("smtp://u:secret[@h", "smtp://u:secret@[h", "smtp://u:secret\u2100@h"),
        *("http://u:secret@h", "smtp://u:secret/1@h", "smtp://u:secret@a..b"),
        "smtp://u:secret@h?starttls=1&starttls=0",
    ],
)
def test_what_is_no_mail_server_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="write smtp://host:port") as caught:
        smtp_address(SecretStr(url))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("smtp://u:1#secret@h", "write / .* in a password as %2F"),
        ("smtp://u:secretü@h", "must be ASCII"),
    ],
)
def test_a_password_that_cannot_stand_in_a_url_is_refused_without_repeating_it(
    url: str, advice: str
) -> None:
    with pytest.raises(ValueError, match=advice) as caught:
        smtp_address(SecretStr(url))
    assert "secret" not in str(caught.value)


def test_an_address_does_not_show_its_password() -> None:
    assert "secret" not in repr(smtp_address(SecretStr("smtp://u:secret@h")))


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
