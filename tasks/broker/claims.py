"""What is claimed, from where, and what a server answers to a claim."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tasks.broker.wire import Words


@dataclass(frozen=True)
class Source:
    """One list that is claimed from: a queue at one priority."""

    queue: str
    key: str
    priority: int


class Claim(NamedTuple):
    """One message that this process holds."""

    tag: str
    queue: str
    deaths: int
    """How many earlier claims of this message ended with their worker."""
    message: bytes


@dataclass(frozen=True)
class BrokenQueue:
    """A queue whose key is not a list. Nothing was taken from it."""

    queue: str
    key: str
    error: str


class Sources:
    """The lists that are claimed from, the first one first, and how the script is told them."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.all = tuple(sources)
        self.keys = Words.of([source.key for source in self.all])
        self.names = Words.of(
            [part for source in self.all for part in (source.priority, json.dumps(source.queue))]
        )
        self.priorities = sorted({source.priority for source in self.all})

    def read(self, row: list[bytes]) -> Claim | BrokenQueue:
        """Read one line of the script's answer."""
        tag, number, deaths, message = row
        source = self.all[int(number) - 1]
        if not tag:
            return BrokenQueue(source.queue, source.key, message.decode(errors="replace"))
        return Claim(tag.decode(), source.queue, int(deaths), message)
