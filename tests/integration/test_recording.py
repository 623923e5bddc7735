"""States that are recorded with the next ones, and acknowledgements that wait for them."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tasks.broker.wire import Text
from tasks.recording import Recorder
from tests.support.servers import Party, client_of
from tests.support.valkey import Valkey

NOTE = Text("""
local answers = {}
for number, key in ipairs(KEYS) do
  local noted = redis.pcall('RPUSH', key, ARGV[number])
  answers[number] = type(noted) == 'table' and noted or ARGV[number]
end
return answers
""")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path) as running:
        yield running


@pytest.fixture
def recorder(server: Valkey) -> Recorder:
    return Recorder(NOTE, redis.ConnectionPool.from_url(server.url))


def test_what_was_left_is_recorded_before_what_comes_next(
    server: Valkey, recorder: Recorder
) -> None:
    recorder.leave(["states"], ["first ended"])
    assert not server.client.exists("states")
    assert recorder.run(["states"], ["second began"]) == b"second began"
    recorder.flush()
    assert server.client.lrange("states", 0, -1) == [b"first ended", b"second began"]


def test_what_the_server_refuses_is_told_and_not_sent_again(
    server: Valkey, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    server.client.set("states", "no list")
    with caplog.at_level(logging.ERROR, logger="tasks.results"):
        recorder.leave(["states"], ["ended"])
        recorder.flush()
    assert "'states' could not be stored: WRONGTYPE" in caplog.text
    server.client.delete("states")
    recorder.flush()
    assert not server.client.exists("states")


def test_nothing_is_acknowledged_before_what_was_left_is_recorded(
    valkey: Valkey, server: Valkey, recorder: Recorder, tmp_path: Path
) -> None:
    with Party(valkey.url, "recording") as party, client_of(valkey.url) as client:
        party.publish("recording", 1)
        party.take(1)
        holdings, tag = party.channel.holdings, party.got[0].delivery_tag
        holdings.before_acknowledging = recorder.flush
        server.stop()
        recorder.leave(["states"], ["ended"])
        with pytest.raises(redis.ConnectionError):
            party.got[0].ack()
        assert client.hexists("unacked", tag)
        with Valkey(tmp_path, port=server.port) as back:
            holdings.flush()
            assert back.client.lrange("states", 0, -1) == [b"ended"]
        assert not client.hexists("unacked", tag)
        holdings.before_acknowledging = lambda: None
