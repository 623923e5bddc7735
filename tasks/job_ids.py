"""The ids of many jobs, drawn from one secret number and computed when they are asked for."""

from collections.abc import Iterator, Sequence
from hashlib import shake_128
from typing import overload

from tasks.broker.uuids import SIZE, as_uuids, split

_AT_ONCE = 64
"""Ids that are computed together: one alone takes half as long as all of them."""


class JobIds(Sequence[str]):
    """The ids of many jobs, in the order of their data. Takes the same memory for any number."""

    def __init__(self, secret: bytes, numbers: range) -> None:
        self._secret = secret
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "JobIds": ...
    def __getitem__(self, index: int | slice) -> "str | JobIds":
        if isinstance(index, slice):
            return JobIds(self._secret, self._numbers[index])
        block, place = divmod(self._numbers[index], _AT_ONCE)
        return split(_block(self._secret, block))[place]

    def __iter__(self) -> Iterator[str]:
        known, ids = -1, [""]
        for number in self._numbers:
            block, place = divmod(number, _AT_ONCE)
            if block != known:
                known, ids = block, split(_block(self._secret, block))
            yield ids[place]


def ids_between(secret: bytes, first: int, end: int) -> str:
    """Return the ids of the jobs from `first` to before `end`, one behind the other.

    They are UUIDs that look like any random ones (version 4).
    """
    blocks = range(first // _AT_ONCE, (end - 1) // _AT_ONCE + 1)
    found = as_uuids(b"".join(_random(secret, block) for block in blocks))
    skipped = first % _AT_ONCE
    return found[SIZE * skipped : SIZE * (skipped + end - first)]


def _block(secret: bytes, number: int) -> str:
    return as_uuids(_random(secret, number))


def _random(secret: bytes, block: int) -> bytes:
    return shake_128(secret + block.to_bytes(8, "big")).digest(16 * _AT_ONCE)
