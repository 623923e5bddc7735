"""Texts with gaps: what the messages of one kind have in common, and where they differ."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, repeat
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
    """A text with gaps: pieces of text, and between each two of them the name of a value."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = list(pieces)
        self.names = self._pieces[1::2]
        # It returns a tuple: there are two names at least.
        self._values: Any = itemgetter(*self.names)

    @classmethod
    def of(cls, text: str) -> "Template":
        """Make one of a text in which `gap` stands for values."""
        text = text.replace(_MORE, f'"{_GAP}{MORE}-"')
        first, *rest = text.split(f'"{_GAP}')
        return cls([first, *(piece for part in rest for piece in part.split('-"', 1))])

    def narrowed(self, known: Mapping[str, Sequence[str]]) -> "Template":
        """Return one with other pieces, text first and last, in the place of some of the gaps.

        `("null",)` fills a gap for good, `('"', "id", '"')` has a value of this name without its
        quotes.
        """
        texts = [self.pieces[0]]
        gaps: list[str] = []
        for name, text in zip(self.names, self.pieces[2::2], strict=True):
            inner = known.get(name, ("", name, ""))
            texts[-1] += inner[0]
            gaps += inner[1::2]
            texts += inner[2::2]
            texts[-1] += text
        between = (piece for pair in zip(gaps, texts[1:], strict=True) for piece in pair)
        return Template([texts[0], *between])

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the text with each gap filled by its value."""
        pieces = self._pieces.copy()
        pieces[1::2] = self._values(values)
        return "".join(pieces)

    def fill_each(self, columns: Mapping[str, Iterable[bytes]]) -> Iterator[bytes]:
        """Yield the pieces of many such texts, one behind the other.

        Args:
            columns: for each gap, its values in all of the texts.

        """
        first, *rest = self._encoded
        pairs = zip(self.names, rest, strict=True)
        parts = (part for name, text in pairs for part in (columns[name], repeat(text)))
        return chain.from_iterable(zip(repeat(first), *parts, strict=False))

    @cached_property
    def size(self) -> int:
        """How many bytes all but the values take."""
        return sum(map(len, self._encoded))

    @cached_property
    def _encoded(self) -> list[bytes]:
        return [text.encode() for text in self.pieces[::2]]

    @property
    def pieces(self) -> Sequence[str]:
        """Text, name, text, name, ..., text."""
        return self._pieces


def with_gaps(
    fields: Mapping[str, Any], of: Mapping[str, str], more: bool = False
) -> dict[str, Any]:
    """Return the fields with gaps for those that `of` names; at the end, one for more of them."""
    found = {**fields, **{name: gap(value) for name, value in of.items()}}
    return {**found, gap(MORE): 0} if more else found
