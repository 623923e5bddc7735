"""A message's bytes as a person reads them: each of them visible, and what must be hidden is not.

What hides a value is its name, so this works as far as the bytes are text that has names: JSON,
what Python prints, `name=value`. The body of one of Celery's messages is JSON in base64, which
anybody can read who wants to: it is hidden whole. What is written otherwise (pickle, compressed,
base64 elsewhere) is shown as it is: nobody can tell what it says.
"""

import re

from config.masking import HIDDEN, rules

MOST = 4_000
"""Bytes that are shown of a message."""

_BEYOND = 4_000
"""Bytes beyond those shown that are looked at: a value that is cut has no end to be known by."""

_BODY = re.compile(r'("body"\s{0,9}:\s{0,9}")(?:\\.|[^"\\])+')


def readable(message: bytes, *, reveal: bool = False, most: int = MOST) -> str:
    r"""Return a message as text, masked unless it is to be revealed.

    What is no text is shown by its number, as `\\xff`.
    """
    shown = message[: most if reveal else most + _BEYOND].decode("utf-8", "backslashreplace")
    text = "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in shown)
    if not reveal:
        text = rules().text(_BODY.sub(rf"\1{HIDDEN}", text))
    left = len(message) - most
    return text if left <= 0 else f"{text[:most]} ... {left} bytes more"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
