"""JSON as kombu writes it, made faster: what messages and events are put together from."""

import json
import os
from binascii import b2a_base64
from collections.abc import Callable, Sequence

from kombu import serialization
from kombu.utils.json import JSONEncoder

quote = json.encoder.encode_basestring_ascii
"""Return a text as JSON has it."""

_encoder = JSONEncoder()


def _prepared() -> Callable[[object, int], Sequence[str]] | None:
    # The standard library makes a new one of these for each value. This one has no memory of its
    # own (the first argument), so threads may share it; what contains itself ends in an error.
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return None
    separators = (_encoder.key_separator, _encoder.item_separator)
    prepared: Callable[[object, int], Sequence[str]] = make(
        None, _encoder.default, quote, None, *separators, False, False, True
    )
    return prepared


_encode = _prepared()


def dumps(value: object) -> str:
    """Return what kombu's own `dumps` returns, without making an encoder for each value.

    Raises:
        kombu.exceptions.EncodeError: when it cannot be written as JSON.

    """
    try:
        return "".join(_encode(value, 0)) if _encode else _encoder.encode(value)
    except Exception:  # noqa: BLE001 (whatever it is, kombu says it)
        return str(serialization.dumps(value, "json")[2])


_BETWEEN = int.from_bytes(os.urandom(16), "big")
"""Stands between values that are written together. No data have it: nobody knows it."""

_SEPARATOR = f"{_encoder.item_separator}{_BETWEEN}{_encoder.item_separator}"


def dumps_each(values: Sequence[object], between: str) -> str | None:
    """Return what `dumps` returns of each value, with this text between them.

    None: some cannot be written as JSON.
    """
    if _encode is None or not values:
        return None
    mixed: list[object] = [_BETWEEN] * (2 * len(values) - 1)
    mixed[::2] = values
    try:
        text = "".join(_encode(mixed, 0))
    except Exception:  # noqa: BLE001 (whatever it is, `dumps` says it of the one that it is)
        return None
    return text[1:-1].replace(_SEPARATOR, between)


def as_base64(text: str) -> str:
    """Return the text in base64, as JSON has it: kombu's form of a body."""
    return f'"{b2a_base64(text.encode(), newline=False).decode()}"'
