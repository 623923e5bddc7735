"""From a page's bytes to its text."""

import codecs
import re

from bs4.dammit import EncodingDetector

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_FALLBACK = "cp1252"
"""What pages that declare nothing most often are, when they are not UTF-8 (WHATWG Encoding)."""

_LATIN = ("ascii", "iso8859-1")

_KNOWN = frozenset(
    (
        *("utf-8", "utf-16", "utf-16-le", "utf-16-be", "koi8-r", "koi8-u", "cp866", "cp874"),
        *("mac-roman", "mac-cyrillic", "gbk", "gb2312", "gb18030", "big5", "big5hkscs"),
        *("euc_jp", "iso2022_jp", "shift_jis", "euc_kr", "cp949"),
        *(f"iso8859-{part}" for part in (*range(2, 9), 10, 11, 13, 14, 15, 16)),
        *(f"cp125{part}" for part in range(9)),
    )
)
"""The encodings that browsers know (WHATWG Encoding), in Python's names.

Python knows more, and some of those are slow on purpose-made input: `idna`, `punycode`.
"""


def decode(body: bytes, content_type: str, *, is_html: bool) -> str:
    """Return the text of a page, whatever its bytes are.

    The encoding is taken, as browsers do (WHATWG HTML, section 13.2.3), from the byte order mark,
    from the `charset` of the Content-Type, from the page's own declaration; failing that, it is
    UTF-8 if the bytes are valid as such, or windows-1252. Bytes that mean nothing become U+FFFD,
    and so does U+0000, which HTML does not allow and databases do not store.
    """
    encoding = _marked(body) or _named(content_type) or (_declared(body) if is_html else None)
    if encoding is None:
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            text = body.decode(_FALLBACK, errors="replace")
    else:
        text = body.decode(encoding, errors="replace")
    return text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}").replace(
        "\0", "\N{REPLACEMENT CHARACTER}"
    )


def _marked(body: bytes) -> str | None:
    return next((name for mark, name in _BYTE_ORDER_MARKS if body.startswith(mark)), None)


def _named(content_type: str) -> str | None:
    match = re.search(r"""charset\s*=\s*["']?([^\s"';,]+)""", content_type, re.IGNORECASE)
    return _known(match[1]) if match else None


def _declared(body: bytes) -> str | None:
    # Browsers look for the declaration in the first 1024 bytes only.
    name = EncodingDetector.find_declared_encoding(body[:1024], is_html=True)
    encoding = _known(name) if name else None
    # A declaration that can be read byte by byte is no UTF-16, whatever it says.
    return "utf-8" if encoding and encoding.startswith("utf-16") else encoding


def _known(label: str) -> str | None:
    try:
        name = codecs.lookup(label).name
    except (LookupError, ValueError):
        return None
    if name in _LATIN:
        return _FALLBACK
    return name if name in _KNOWN else None
