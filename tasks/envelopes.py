"""Data that look like what kombu writes itself, and would not arrive as they were sent."""

from collections.abc import Mapping

from tasks.errors import BadJob

_SCALARS = frozenset({str, int, float, bool, type(None)})

_ENVELOPE = {"__type__", "__value__"}
"""kombu writes a date, a UUID, a Decimal, ... as a JSON object with these two names."""


def refuse_envelopes(value: object, name: str) -> None:
    """Raise BadJob for a mapping that kombu would take for one of its own.

    Its worker would try to build a Python object of it, and fail, or build another one.
    """
    if type(value) in _SCALARS:
        return
    if type(value) is dict or isinstance(value, Mapping):
        if len(value) == len(_ENVELOPE) and value.keys() == _ENVELOPE:
            raise BadJob(
                f"{name}: a value with exactly the names __type__ and __value__ cannot be sent; "
                "rename one of them, or send it as text (json.dumps)"
            )
        for part in value.values():
            if type(part) not in _SCALARS:
                refuse_envelopes(part, name)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for part in value:
            if type(part) not in _SCALARS:
                refuse_envelopes(part, name)
