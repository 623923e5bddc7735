"""What is wrong with what somebody sent: every fault at once, each with its field and a sentence.

BadOrder    the cart or the customer cannot become an order; nothing was stored
KeyReused   the idempotency key belongs to another order; nothing was stored
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

KEY_FIELD = "Idempotency-Key"

_KINDS: Mapping[str, str] = {
    "missing": "This is missing.",
    "string_type": "This must be a text.",
    "list_type": "This must be a list.",
    "dict_type": "This must be an object.",
    "model_type": "This must be an object.",
}
_OWN = "own"
"""Errors of this type carry a sentence that was written for the reader."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong. `field` is a path such as `items.0.quantity`."""

    field: str
    message: str


class BadOrder(ValueError):
    """The cart or the customer cannot become an order. Nothing was stored."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in self.faults))


class KeyReused(BadOrder):
    """The idempotency key was used for another order. Nothing was stored."""

    def __init__(self, order_number: str) -> None:
        self.order_number = order_number
        sentence = "This key was used for another order. Send a new one with this cart."
        super().__init__([Fault(KEY_FIELD, sentence)])


def faults_of(error: ValidationError, *, within: str = "") -> Iterator[Fault]:
    """Turn pydantic's findings into faults, each with a sentence for people."""
    for found in error.errors(include_url=False):
        yield Fault(_path(within, found["loc"]), _sentence(found))


def _path(within: str, where: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in (within, *where) if part != "") or "body"


def _sentence(found: ErrorDetails) -> str:
    if found["type"] == _OWN:
        return found["msg"]
    return _KINDS.get(found["type"]) or f"{found['msg']}."
