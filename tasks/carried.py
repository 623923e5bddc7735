"""What a job carries along from whoever sends it, beyond its data: headers of its message.

A job of the outbox is published later, and maybe by another process, than it is enqueued. So what
is known only there and then, such as the trace that a request belongs to, is taken when the row is
made, kept in it, and put in force again while its message is published.

    carried.takers.append(add_headers)       # called with a dict to add to
    carried.restorers.append(in_context_of)  # called with the headers; returns a context manager
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

takers: list[Callable[[dict[str, str]], object]] = []
restorers: list[Callable[[Mapping[str, Any]], AbstractContextManager[object]]] = []


def taken() -> dict[str, str]:
    """Return what a job that is enqueued now carries along."""
    headers: dict[str, str] = {}
    for take in takers:
        take(headers)
    return headers


@contextmanager
def restored(headers: Mapping[str, Any]) -> Iterator[None]:
    """Put in force what the headers carry, while a job is published that was enqueued before."""
    with ExitStack() as stack:
        for restore in restorers:
            stack.enter_context(restore(headers))
        yield
