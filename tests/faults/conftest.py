"""Arenas for the tests of this directory."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.arena import Arena

SEED = int(os.environ.get("FAULTS_SEED", "1"))
"""What decides the moments of faults. They fall into running programs, so a seed repeats the order
of faults and the waits before them, and not the very instruction that each of them hits."""

MakeArena = Callable[..., Arena]


@pytest.fixture
def make_arena(tmp_path: Path) -> Iterator[MakeArena]:
    """Return what makes an arena; it ends with the test."""
    with ExitStack() as stack:

        def make(**options: object) -> Arena:
            return stack.enter_context(Arena(tmp_path, **options))  # type: ignore[arg-type] # handed on

        yield make


@pytest.fixture
def chance() -> random.Random:
    """Return the chance that decides this test's faults, and print its seed."""
    print(f"seed {SEED}; another one: FAULTS_SEED=... make test")  # noqa: T201 (shown on failure)
    return random.Random(SEED)  # noqa: S311 (no secret)
