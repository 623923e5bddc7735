"""Fields that are on every log line of this thread, or of this coroutine, while they are bound.

They are one value, so that to bind and to unbind them costs a job next to nothing.
"""

from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar, Token
from typing import Any, TypeAlias

_NOTHING: Mapping[str, str] = {}
_fields: ContextVar[Mapping[str, str]] = ContextVar("log_fields", default=_NOTHING)

Tokens: TypeAlias = Token[Mapping[str, str]]
"""What `bind` gives for `unbind`."""


def bind(fields: Mapping[str, str]) -> Tokens:
    """Put these fields on every line from here on, and return what `unbind` needs."""
    already = _fields.get()
    return _fields.set({**already, **fields} if already else fields)


def unbind(tokens: Tokens) -> None:
    """Take back what the matching `bind` has put on the lines."""
    _fields.reset(tokens)


def bound(field: str) -> str | None:
    """Return the value that is bound to this field now."""
    return _fields.get().get(field)


def add_bound(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put what is bound on a line that has no such fields of its own; a processor of structlog."""
    for name, value in _fields.get().items():
        line.setdefault(name, value)
    return line
