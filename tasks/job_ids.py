"""The ids of many jobs, drawn from one secret number and computed when they are asked for."""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import shake_128
from typing import overload

from tasks.broker.uuids import as_uuid

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
        return next(ids_of(self._secret, [self._numbers[index]]))

    def __iter__(self) -> Iterator[str]:
        return ids_of(self._secret, self._numbers)


def ids_of(secret: bytes, numbers: Iterable[int]) -> Iterator[str]:
    """Yield the ids of jobs: UUIDs that look like any random ones (version 4)."""
    known, digits = -1, ""
    for number in numbers:
        block, place = divmod(number, _AT_ONCE)
        if block != known:
            known = block
            digits = shake_128(secret + block.to_bytes(8, "big")).hexdigest(16 * _AT_ONCE)
        yield as_uuid(digits[32 * place : 32 * place + 32])
