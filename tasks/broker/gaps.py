"""Texts with gaps: what the messages of one kind have in common, and where they differ."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any
from uuid import uuid4

_GAP = f"gap-{uuid4().hex}-"
_MORE = f', "{_GAP}more-": 0'
"""Stands where headers of a signal's receiver may come."""

MORE = "more"


def gap(name: str) -> str:
    """Return what stands in a text where the value of this name is to come, as JSON."""
    return f"{_GAP}{name}-"


class Template:
    """A text made with `gap`."""

    def __init__(self, text: str) -> None:
        text = text.replace("%", "%%").replace(_MORE, f'"{_GAP}{MORE}-"')
        first, *rest = text.split(f'"{_GAP}')
        named = [part.split('-"', 1) for part in rest]
        self._form = "%s".join([first, *(after for _, after in named)])
        self._values: Any = itemgetter(*(name for name, _ in named))

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the text with each gap filled by its value, which is JSON."""
        return str.__mod__(self._form, self._values(values))


def with_gaps(
    fields: Mapping[str, Any], of: Mapping[str, str], more: bool = False
) -> dict[str, Any]:
    """Return the fields with gaps for those that `of` names; at the end, one for more of them."""
    found = {**fields, **{name: gap(value) for name, value in of.items()}}
    return {**found, gap(MORE): 0} if more else found
