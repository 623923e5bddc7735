"""A message as kombu puts it on a list, read with suspicion: anybody can push bytes to a list."""

from typing import Any

from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads

from tasks.broker.holdings import Claim


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
    headers.pop("deaths", None)
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
    envelope = loads(bytes_to_str(message))
    if not isinstance(envelope, dict):
        raise NotAnEnvelope(f"a message is a JSON object, not {type(envelope).__name__}")
    _part(envelope, "headers")
    _part(_part(envelope, "properties"), "delivery_info")
    if not isinstance(envelope.get("body"), str):
        raise NotAnEnvelope("a message has a body of text")
    return envelope


def _part(of: dict[str, Any], name: str) -> dict[str, Any]:
    found = of.get(name)
    if not isinstance(found, dict):
        raise NotAnEnvelope(f"a message has {name}, as a JSON object")
    return found
