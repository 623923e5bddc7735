"""A message as kombu puts it on a list, read with suspicion: anybody can push bytes to a list."""

from contextlib import suppress
from typing import Any

import msgspec
from kombu.transport import virtual
from kombu.utils.json import loads

from tasks.broker.claims import Claim

_PLAIN: msgspec.json.Decoder[Any] = msgspec.json.Decoder()

_UTF_8 = ("utf-8", None)

NOTED_BY_WORKERS = ("deaths", "cancelled", "unrecorded", "outcome", "replay")
"""What a worker notes in the request of a job, and no message may say of itself."""


class Message(virtual.Message):
    """A message as a worker has it, with a body that is read quickly where it is plain JSON."""

    def _decode(self) -> Any:  # noqa: ANN401 (any decoded JSON)
        is_json = self.content_type == "application/json" and self.content_encoding in _UTF_8
        if is_json and isinstance(self.body, bytes) and "application/json" in (self.accept or ()):
            # What kombu says of a body that cannot be read is known elsewhere.
            with suppress(Exception):
                return decode(self.body.decode())
        return super()._decode()


class NotAnEnvelope(ValueError):
    """These bytes are not a message of kombu's."""


def read(claim: Claim) -> dict[str, Any]:
    """Return the envelope of a claimed message, with the claim's tag in the place of its own.

    Raises:
        NotAnEnvelope: when it lacks what every envelope has.
        ValueError: when it is not JSON, or not UTF-8.
        RecursionError: when it is nested too deeply.

    """
    envelope = parse(claim.message)
    headers, properties = envelope["headers"], envelope["properties"]
    properties["delivery_tag"] = claim.tag
    for name in NOTED_BY_WORKERS:
        headers.pop(name, None)
    if claim.deaths:
        headers["deaths"] = claim.deaths
        headers["redelivered"] = properties["delivery_info"]["redelivered"] = True
    return envelope


def parse(message: bytes) -> dict[str, Any]:
    """Return the envelope of a message.

    Raises:
        NotAnEnvelope: when it lacks what every envelope has.
        ValueError: when it is not JSON, or not UTF-8.
        RecursionError: when it is nested too deeply.

    """
    try:
        envelope = decode(message)
    except UnicodeDecodeError:
        envelope = decode(message.decode("utf-8", "replace"))
    if not isinstance(envelope, dict):
        raise NotAnEnvelope(f"a message is a JSON object, not {type(envelope).__name__}")
    _part(envelope, "headers")
    _part(_part(envelope, "properties"), "delivery_info")
    if not isinstance(envelope.get("body"), str):
        raise NotAnEnvelope("a message has a body of text")
    return envelope


def decode(text: str | bytes) -> Any:  # noqa: ANN401 (any decoded JSON)
    """Return what the JSON says, kombu's own types included.

    kombu calls a function for each object, to see whether it is such a type.

    Raises:
        ValueError: when it is not JSON; UnicodeDecodeError, which is one, when it is not UTF-8.
        RecursionError: when it is nested too deeply.

    """
    if _may_hold_types(text):
        return loads(text)
    try:
        return _PLAIN.decode(text)
    except msgspec.DecodeError:
        # What Python's own takes for JSON as well: NaN, and halves of characters.
        return loads(text)


def _may_hold_types(text: str | bytes) -> bool:
    """Tell whether one of kombu's own types may be in it, which all name themselves."""
    if isinstance(text, bytes):
        return b"__type__" in text or b"\\u" in text
    return "__type__" in text or "\\u" in text


def _part(of: dict[str, Any], name: str) -> dict[str, Any]:
    found = of.get(name)
    if not isinstance(found, dict):
        raise NotAnEnvelope(f"a message has {name}, as a JSON object")
    return found
