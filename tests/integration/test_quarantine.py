"""Messages that cannot become jobs: kept byte for byte, counted, and put back or thrown away."""

from collections.abc import Iterator

import pytest

from tasks import quarantine
from tasks.errors import NoSuchMessage
from tests.support import jobs
from tests.support.programs import Program
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

GARBAGE = b'\xff\x00 not a message {"'


@pytest.fixture(autouse=True)
def _no_quarantine(valkey: Valkey) -> Iterator[None]:
    valkey.client.delete("quarantine", "quarantine.count")
    yield
    valkey.client.delete("quarantine", "quarantine.count")


@pytest.fixture
def garbage(valkey: Valkey, worker: Program) -> quarantine.Quarantined:
    """Garbage that a real worker has come across."""
    valkey.client.lpush("default", GARBAGE)
    (found,) = wait_for(quarantine.newest, "the garbage in quarantine", doing=worker.check_alive)
    return found


def test_garbage_is_kept_byte_for_byte_with_its_queue_and_the_reason(
    garbage: quarantine.Quarantined,
) -> None:
    assert (garbage.message, garbage.queue) == (GARBAGE, "default")
    assert garbage.reason.startswith("JSONDecodeError")
    assert (quarantine.count(), quarantine.total()) == (1, 1)
    assert quarantine.show(garbage.id) == garbage


def test_the_worker_goes_on(garbage: quarantine.Quarantined, worker: Program) -> None:
    assert garbage.id
    assert jobs.add.delay(first=1, second=2).get(timeout=30) == 3
    worker.check_alive()


def test_what_is_put_back_comes_again(garbage: quarantine.Quarantined) -> None:
    quarantine.put_back(garbage.id)
    again = wait_for(quarantine.newest, "the garbage to be back")
    assert again[0].message == GARBAGE
    assert again[0].id != garbage.id
    assert quarantine.total() == 2


def test_what_is_discarded_is_gone_and_cannot_be_put_back(garbage: quarantine.Quarantined) -> None:
    quarantine.discard(garbage.id)
    assert quarantine.count() == 0
    for act in (quarantine.show, quarantine.put_back, quarantine.discard):
        with pytest.raises(NoSuchMessage):
            act(garbage.id)
