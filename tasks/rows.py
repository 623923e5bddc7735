"""The data of many jobs as their messages have them: bodies, and the texts that are shown of them.

To write the data of one job as JSON takes Python as long to begin with as it takes for the data.
So all are written together, and taken apart. And what is shown of a job's data (`kwargsrepr`) is
what JSON has, but for the quotes, where the data are numbers and short plain texts. That is found
out for all of them together as well; where it is not so, each is looked at by itself.
"""

from collections.abc import Sequence
from itertools import chain, repeat
from operator import eq
from typing import Any

from config.masking import rules
from tasks.amqp import short_repr
from tasks.broker.jsontext import dumps_each, quote

_NUMBERS_AND_TEXTS = frozenset({int, float, str})
_ALIKE = _NUMBERS_AND_TEXTS | {bool, type(None)}

_ENVELOPE = '"__type__"'
"""See tasks/envelopes.py."""

_UNLIKE = ("\\", "'", "NaN", "Infinity", "@", "=")
"""What is written in another way in JSON, and what may have to be masked. To look for one after the
other is faster than to look for all of them at once."""

_NAME_ENDS = ":"

_END = "\n"
"""Stands between what was written together: there is none in JSON as kombu writes it."""

_IN_PYTHON = ((": true", ": True"), (": false", ": False"), (": null", ": None"))


def names_alike(rows: Sequence[Any]) -> bool:
    """Tell whether these are dicts of the same names, all of them texts."""
    if set(map(type, rows)) != {dict}:
        return False
    names = rows[0].keys()
    return set(map(type, chain.from_iterable(rows))) <= {str} and all(
        map(eq, repeat(names), map(dict.keys, rows))
    )


class Written:
    """The data of jobs of one task, written together."""

    def __init__(self, bodies: list[bytes] | None = None, shown: list[bytes] | None = None) -> None:
        self.bodies = bodies or []
        """The bodies of their messages, as JSON."""
        self.shown = shown or []
        """The texts that are shown of them, as JSON has them between its quotes."""

    @classmethod
    def of(
        cls, rows: Sequence[dict[str, Any]], embed: str, longest: int, levels: int
    ) -> "Written | None":
        """Write them; None if each must be looked at.

        Args:
            rows: data of which `names_alike` is true.
            embed: the third part of the messages' body, as JSON.
            longest: how many characters are shown of a job's data.
            levels: how many values inside of others are shown.

        """
        text = dumps_each(rows, _END)
        if text is None or _ENVELOPE in text:
            return None
        first, last = "[[], ", f", {embed}]"
        bodies = f"{first}{text.replace(_END, last + _END + first)}{last}".encode().split(b"\n")
        return cls(bodies, _shown(rows, text, longest, levels))

    def add(self, row: dict[str, Any], body: str, longest: int, levels: int) -> None:
        """Add one that was looked at by itself. Arguments as `of` has them."""
        self.bodies.append(body.encode())
        self.shown.append(_shown_alone(row, longest, levels))


def _shown(rows: Sequence[dict[str, Any]], text: str, longest: int, levels: int) -> list[bytes]:
    hiding = rules()
    kinds = set(map(type, chain.from_iterable(map(dict.values, rows))))
    are_long = len(text) > longest * len(rows)
    is_hidden = any(map(hiding.hides_text, rows[0]))
    if are_long or is_hidden or levels <= 0 or not kinds <= _ALIKE:
        return [_shown_alone(row, longest, levels) for row in rows]
    changed = text.replace('"', "'")
    if not kinds <= _NUMBERS_AND_TEXTS:
        for ours, pythons in _IN_PYTHON:
            changed = changed.replace(ours, pythons)
    shown = changed.encode().split(b"\n")
    many = len(rows[0])
    if max(map(len, shown)) < longest and _is_alike(text, many * len(rows)):
        return shown
    return [
        found
        if len(found) < longest and _is_alike(json, many)
        else _shown_alone(row, longest, levels)
        for row, json, found in zip(rows, text.split(_END), shown, strict=True)
    ]


def _is_alike(text: str, names: int) -> bool:
    """Tell whether Python shows this JSON, of plain values with so many names, but for quotes."""
    return not any(mark in text for mark in _UNLIKE) and text.count(_NAME_ENDS) == names


def _shown_alone(row: dict[str, Any], longest: int, levels: int) -> bytes:
    text = short_repr(row, longest, levels, rules()) if row else "{}"
    return quote(text)[1:-1].encode()
