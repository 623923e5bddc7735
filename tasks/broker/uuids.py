"""Random UUIDs (version 4) as texts, for less than `uuid4` takes: ids of jobs, tags of messages."""

import os
from itertools import count

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def new_id() -> str:
    """Return a UUID that nobody can guess."""
    return as_uuid(os.urandom(16).hex())


def as_uuid(digits: str) -> str:
    """Return a UUID of 32 random hexadecimal digits."""
    return (
        f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-"
        f"{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"
    )


class Tags:
    """UUIDs that nobody else draws, but that can be guessed from one another.

    Their first half is random (60 bits) and belongs to one process, their end is a number.
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin with another first half, as a process must that was forked off."""
        self._head = new_id()[:24]
        self._numbers = count(int.from_bytes(os.urandom(4), "big"))

    def new(self) -> str:
        """Return one that this process has not returned before."""
        return f"{self._head}{next(self._numbers):012x}"


_tags = Tags()
os.register_at_fork(after_in_child=_tags.renew)

new_tag = _tags.new
