"""Random UUIDs (version 4) as texts, for less than `uuid4` takes: ids of jobs, tags of messages.

Most of the cost of one is the call of the system for random bytes, and putting its text together.
Both are done for many at a time.
"""

import os
from itertools import count

SIZE = 36
"""Characters of a UUID."""

_DIGITS = 32

_AS_VERSION = bytes(byte & 0x0F | 0x40 for byte in range(256))
_AS_VARIANT = bytes(byte & 0x3F | 0x80 for byte in range(256))

_PLACES = [place for place in range(SIZE) if place not in (8, 13, 18, 23)]
"""Where the digits stand. The other places have dashes."""

_DRAWN_AT_ONCE = 128


def as_uuids(random: bytes) -> str:
    """Return one UUID for each 16 of these random bytes, one behind the other.

    All first digits are put in their places together, then all second ones: 36 steps for any number
    of UUIDs.
    """
    drawn = bytearray(random)
    drawn[6::16] = drawn[6::16].translate(_AS_VERSION)
    drawn[8::16] = drawn[8::16].translate(_AS_VARIANT)
    digits = drawn.hex().encode()
    texts = bytearray(b"-") * (len(random) // 16 * SIZE)
    for digit, place in enumerate(_PLACES):
        texts[place::SIZE] = digits[digit::_DIGITS]
    return texts.decode()


def split(uuids: str) -> list[str]:
    """Return the single ones of UUIDs that stand one behind the other."""
    return [uuids[at : at + SIZE] for at in range(0, len(uuids), SIZE)]


class Ids:
    """UUIDs that nobody can guess, drawn from the system some at a time."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Draw new ones, as a process must that was forked off: its parent has the same."""
        self._drawn: list[str] = []

    def new(self) -> str:
        """Return one. Threads may call it at the same time: each takes its own off the end."""
        while True:
            try:
                return self._drawn.pop()
            except IndexError:
                self._drawn.extend(split(as_uuids(os.urandom(16 * _DRAWN_AT_ONCE))))


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


class TagsTogether(Tags):
    """The same, some thousand at a time: they have all but their last three digits in common."""

    ENDS = tuple(b"%03x" % number for number in range(16**3))

    def new(self) -> str:
        """Return what 4,096 tags begin with that this process has not returned before."""
        return f"{self._head}{next(self._numbers):09x}"


_ids = Ids()
new_id = _ids.new
_tags, _tags_together = Tags(), TagsTogether()
new_tag, new_tags = _tags.new, _tags_together.new


def _forked() -> None:
    _ids.forget()
    _tags.renew()
    _tags_together.renew()


os.register_at_fork(after_in_child=_forked)
