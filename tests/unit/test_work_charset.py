"""From bytes to text, as browsers do it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.work.charset import decode


def text(body: bytes, content_type: str = "text/html") -> str:
    return decode(body, content_type, is_html=True)


def test_a_byte_order_mark_wins_over_the_header() -> None:
    assert text(b"\xef\xbb\xbf\xc3\xa4", "text/html; charset=iso-8859-1") == "ä"
    assert text("ä".encode("utf-16"), "text/html; charset=utf-8") == "ä"


def test_the_header_wins_over_the_pages_own_declaration() -> None:
    body = '<meta charset="utf-8">ä'.encode("cp1251", errors="replace")
    assert text(body + b"\xe4", 'text/html; Charset="windows-1251"').endswith("д")


@pytest.mark.parametrize(
    "declaration",
    [
        b'<meta charset="koi8-r">',
        b'<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">',
        b'<?xml version="1.0" encoding="koi8-r"?>',
    ],
)
def test_the_pages_own_declaration_is_used(declaration: bytes) -> None:
    assert text(declaration + b"\xd4").endswith("т")


def test_latin_1_means_windows_1252_as_in_browsers() -> None:
    assert text(b"\x93quoted\x94", "text/html; charset=ISO-8859-1") == "“quoted”"


def test_without_a_declaration_it_is_utf_8_or_windows_1252() -> None:
    assert text(b"\xc3\xa4") == "ä"
    assert text(b"\xe4\x80") == "ä€"


@pytest.mark.parametrize("label", ["idna", "punycode", "base64", "unicode_escape", "no-such", "ö"])
def test_an_encoding_that_browsers_do_not_know_is_passed_over(label: str) -> None:
    assert text(b"\xc3\xa4", f"text/html; charset={label}") == "ä"


def test_a_declaration_read_as_bytes_cannot_mean_utf_16() -> None:
    assert text('<meta charset="utf-16">ä'.encode()).endswith("ä")


@given(st.binary(), st.text())
def test_any_bytes_under_any_type_become_text_that_can_be_stored(body: bytes, kind: str) -> None:
    for content_type in (kind, f"text/html; charset={kind}"):
        found = text(body + b"\0", content_type)
        assert "\0" not in found
        found.encode()
