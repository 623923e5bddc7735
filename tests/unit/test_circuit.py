from contextlib import suppress

import pytest
import redis

from tasks.circuit import Circuit, CircuitOpen


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    return Circuit(pause=1, clock=clock)


def ask(circuit: Circuit, error: Exception | None = None, asked: list[str] | None = None) -> None:
    """Ask a server that answers, or fails with this error."""
    with circuit:
        if asked is not None:
            asked.append("asked")
        if error:
            raise error


def break_it(circuit: Circuit) -> None:
    with pytest.raises(redis.TimeoutError):
        ask(circuit, redis.TimeoutError("no answer"))


def test_after_a_failure_nobody_asks_for_a_while(circuit: Circuit, clock: Clock) -> None:
    break_it(circuit)
    asked: list[str] = []
    for clock.now in (0, 0.5, 0.99):
        with pytest.raises(CircuitOpen, match="no answer"):
            ask(circuit, asked=asked)
    assert asked == []


def test_then_one_asks_for_all(circuit: Circuit, clock: Clock) -> None:
    break_it(circuit)
    clock.now = 1
    # While it waits for the answer, the others still fail at once.
    with circuit, pytest.raises(CircuitOpen):
        ask(circuit)
    ask(circuit)


def test_a_probe_in_vain_begins_another_pause(circuit: Circuit, clock: Clock) -> None:
    break_it(circuit)
    clock.now = 1
    break_it(circuit)
    clock.now = 1.9
    with pytest.raises(CircuitOpen):
        ask(circuit)
    clock.now = 2
    ask(circuit)


def test_a_probe_that_never_comes_back_stops_nobody_for_ever(
    circuit: Circuit, clock: Clock
) -> None:
    break_it(circuit)
    clock.now = 1
    circuit.__enter__()
    clock.now = 2
    ask(circuit)


def test_a_server_that_answers_with_an_error_is_there(circuit: Circuit) -> None:
    with suppress(redis.ResponseError):
        ask(circuit, redis.ResponseError("OOM command not allowed"))
    ask(circuit)


def test_an_error_of_the_callers_own_says_nothing_of_the_server(
    circuit: Circuit, clock: Clock
) -> None:
    break_it(circuit)
    clock.now = 1
    with suppress(KeyError):
        ask(circuit, KeyError("mine"))
    with pytest.raises(CircuitOpen):
        ask(circuit)
