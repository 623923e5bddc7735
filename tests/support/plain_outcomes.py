"""What bodies of the tests' jobs may return and raise."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Any
from uuid import UUID

from celery.exceptions import Ignore, Reject
from celery.result import AsyncResult
from kombu.exceptions import OperationalError

from tasks.celery import app
from tasks.errors import JobCancelled


class Refused(Exception):
    """An error that no task names as passing."""


class MayPass(Exception):
    """One that they do name."""


class TwoArguments(Exception):
    """An error that cannot be made of what it was made of."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"{number}: {text}")


class Colour(IntEnum):
    """A number that is more than a number."""

    RED = 1


def _nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


VALUES: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "true": lambda: True,
    "int": lambda: -7,
    "long int": lambda: 2**70,
    "endless int": lambda: 10**5_000,
    "float": lambda: 0.1 + 0.2,
    "exponent": lambda: 1e300,
    "no number": lambda: float("nan"),
    "infinite": lambda: float("-inf"),
    "empty text": lambda: "",
    "text": lambda: 'it\'s "so"\n\t\\ \x00 \x7f any-id any-result',
    "umlauts": lambda: "Grüße \u2028 😀",
    "half a character": lambda: "\ud83d",
    "list": lambda: [1, "a", None, [True, {"x": []}]],
    "dict": lambda: {"any-id": "any-time", "ü": {"😀": [1.5]}},
    "numbers as keys": lambda: {1: "a", None: "b", False: "c"},
    "tuple": lambda: (1, ("a",)),
    "tuples in it": lambda: [(1, 2)],
    "moment": lambda: datetime(2020, 2, 29, 1, 2, 3, tzinfo=UTC),
    "moment in it": lambda: {"at": datetime(2020, 2, 29, 1, 2, 3, tzinfo=UTC)},
    "decimal": lambda: Decimal("1.10"),
    "uuid": lambda: [UUID(int=5)],
    "bytes": lambda: b"\xff\x00",
    "result": lambda: AsyncResult("some-other-job", app=app),
    "results in it": lambda: [AsyncResult("some-other-job", app=app)],
    "exception": lambda: ValueError("returned"),
    "exception in it": lambda: [ValueError("returned")],
    "object": object,
    "object in it": lambda: {"it": object()},
    "set": lambda: {1},
    "enum": lambda: Colour.RED,
    "deep": lambda: _nested(200),
    "too deep": lambda: _nested(100_000),
}
"""What a body may return."""


def _call(function: Callable[..., Any]) -> Any:  # noqa: ANN401 (any function's)
    return function()


def _raise_with_cause() -> None:
    try:
        _raise(KeyError("the cause"))
    except KeyError as cause:
        raise Refused("with a cause") from cause


def _raise(error: BaseException) -> None:
    raise error


ERRORS: dict[str, Callable[[], Any]] = {
    "ordinary": lambda: _raise(Refused("Grüße: 'no'")),
    "of Python": lambda: os.environ["NOTHING LIKE IT"],
    "without a sentence": lambda: _raise(Refused()),
    "of two arguments": lambda: _raise(TwoArguments(1, "x")),
    "with a cause": _raise_with_cause,
    "a group": lambda: _raise(ExceptionGroup("both", [Refused("a"), ValueError("b")])),
    "away": lambda: _raise(OperationalError("a broker of its own is away")),
    "stopped": lambda: _raise(StopIteration()),
    "ignore": lambda: _raise(Ignore("never mind")),
    "reject": lambda: _raise(Reject("not for me", requeue=False)),
    "cancelled": lambda: _raise(JobCancelled("by itself")),
    "wrong arguments": lambda: _call(_nested),
}
"""What a body may raise, and be done with it."""

ONCE: dict[str, Callable[[], Any]] = {
    "reject": lambda: _raise(Reject("later", requeue=True)),
    "memory": lambda: _raise(MemoryError("no more")),
}
"""What it may raise so that it is delivered again."""
