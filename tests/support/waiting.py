"""Wait for facts, never for seconds."""

import time
from collections.abc import Callable
from typing import TypeVar

Fact = TypeVar("Fact")

PATIENCE = 120.0
"""Seconds until a fact that has not come is called a failure. Far beyond what any fact needs."""


def wait_for(
    fact: Callable[[], Fact],
    what: str,
    *,
    patience: float = PATIENCE,
    every: float = 0.02,
    doing: Callable[[], object] = lambda: None,
) -> Fact:
    """Ask again and again until `fact()` is true, and return what it gave.

    `doing` is called between two looks; it may raise to end the wait early.

    Raises:
        AssertionError: when the fact has not come within `patience` seconds.

    """
    end = time.monotonic() + patience
    while True:
        found = fact()
        if found:
            return found
        doing()
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience:g} s in vain: {what}; last seen: {found!r}")
        time.sleep(every)
