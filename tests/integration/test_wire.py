"""The connection that jobs are sent over: whatever happens to it, each job is sent once."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from tasks.broker import wire
from tasks.broker.wire import Text, Wire
from tasks.celery import app
from tasks.errors import Unreachable
from tasks.job import Job
from tests.support.valkey import Valkey

COUNT = Text("return redis.call('INCRBY', 'counted', ARGV[1])")
QUEUE = "wire-tests"


@app.task(name="tests.wait_here", base=Job, queue=QUEUE, shared=False)
def wait_here(number: int) -> None:
    """Stand for a task that no worker runs."""


@pytest.fixture
def server(valkey: Valkey) -> Iterator[Valkey]:
    yield valkey
    valkey.client.delete(QUEUE, f"{QUEUE}.bell")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A server whose clients may all be cut off."""
    with Valkey(tmp_path_factory.mktemp("wire")) as found:
        yield found


@pytest.fixture(params=["plain", "by redis-py"])
def line(
    request: pytest.FixtureRequest, own: Valkey, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Wire]:
    """A wire, as it is on a plain socket, and as it is with TLS or without hiredis."""
    if request.param != "plain":
        monkeypatch.setattr(wire._Plain, "of", lambda _: None)
    pool = redis.ConnectionPool(port=own.port, socket_timeout=5)
    own.client.delete("counted")
    yield Wire(pool)
    pool.disconnect()


def command(by: int | str) -> bytes:
    return f"*4\r\n{COUNT.called}$1\r\n0\r\n{wire.word(str(by))}".encode()


def at_once(line: Wire, sent: bytes) -> None:
    line.begin_at_once(sent)
    line.finish(COUNT, [sent])


def together(line: Wire, sent: bytes) -> None:
    line.send(COUNT, [sent])


def in_a_row(line: Wire, sent: bytes) -> None:
    line.send(COUNT, [sent, sent])


@pytest.mark.parametrize(("send", "times"), [(at_once, 1), (together, 1), (in_a_row, 2)])
def test_what_the_server_does_not_know_or_has_closed_is_sent_all_the_same(
    own: Valkey, line: Wire, send: Callable[[Wire, bytes], None], times: int
) -> None:
    def close() -> None:
        own.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call] # redis-py's

    for act in (close, lambda: None, own.client.script_flush, lambda: None, close, close):
        act()
        send(line, command(1))
    assert own.client.get("counted") == str(6 * times).encode()


@pytest.mark.parametrize("send", [at_once, together, in_a_row])
def test_what_the_server_refuses_is_an_error_and_the_next_one_is_sent(
    own: Valkey, line: Wire, send: Callable[[Wire, bytes], None]
) -> None:
    send(line, command(1))
    before = own.client.get("counted")
    with pytest.raises(redis.ResponseError, match="not an integer"):
        send(line, command("no number"))
    assert own.client.get("counted") == before
    send(line, command(1))
    assert int(own.client.get("counted") or 0) > int(before or 0)


def test_an_answer_that_nobody_has_taken_is_not_taken_for_a_later_one(
    own: Valkey, line: Wire
) -> None:
    line.send(COUNT, [command(1)])
    for begin in (line.begin_at_once, lambda sent: line.begin([sent])):
        begin(command("no number"))
        line.send(COUNT, [command(1)])
    line.begin_at_once(command("no number"))
    at_once(line, command(1))
    assert own.client.get("counted") == b"4"


def test_more_than_the_system_takes_at_once_arrives_whole(own: Valkey, line: Wire) -> None:
    size = Text("return redis.call('INCRBY', 'counted', #ARGV[1])")
    text = "x" * 30_000_000
    sent = f"*4\r\n{size.called}$1\r\n0\r\n{wire.word(text)}".encode()
    for _ in range(2):
        line.send(size, [sent])
    assert own.client.get("counted") == b"60000000"


def test_a_job_is_sent_over_a_connection_that_was_closed_meanwhile(server: Valkey) -> None:
    ids = [wait_here.delay(1).id]
    for _ in range(5):
        with app.quick.at_once.connection() as channel:
            host, port = channel.wire._connection._sock.getsockname()
        server.client.execute_command("CLIENT", "KILL", "ADDR", f"{host}:{port}")  # type: ignore[no-untyped-call] # redis-py's
        ids.append(wait_here.delay(1).id)
    assert server.client.llen(QUEUE) == 6
    assert {app.AsyncResult(one).state for one in ids} == {"PENDING"}


def test_a_list_that_is_none_is_an_error_and_marks_no_job(server: Valkey) -> None:
    for _ in range(2):
        wait_here.delay(1)
    server.client.delete(QUEUE)
    server.client.set(QUEUE, "no list")
    marks: Any = server.client.keys("celery-task-meta-*")
    with pytest.raises(Unreachable) as caught:
        wait_here.delay(1)
    assert not caught.value.may_be_queued
    assert set(server.client.keys("celery-task-meta-*")) == set(marks)
