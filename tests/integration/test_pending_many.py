"""Very many waiting jobs: what is asked of the server stays small, whatever the queue's length."""

from collections.abc import Callable, Iterator
from threading import Event, Thread

import pytest

from tasks import pending
from tasks.errors import JobGone
from tasks.pending import LAST, NEXT
from tasks.queued.job import digest_of
from tasks.queued.scripts import REACH
from tasks.queues import Queues
from tests.support.bulk import load
from tests.support.failed import an_app
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

QUEUE = "celery"
COUNT = 200_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("many")) as up:
        other = an_app(up.url)
        other.send_task("tests.add", kwargs={"first": 1, "second": 2}, ignore_result=True)
        load(up.client, QUEUE, COUNT)
        yield up


@pytest.fixture
def there(server: Valkey) -> pending.Pending:
    return pending.Pending(an_app(server.url))


def commands_of(server: Valkey, act: Callable[[], object]) -> list[list[str]]:
    """Return all commands that the server executes meanwhile, those of scripts included."""
    seen: list[list[str]] = []
    ready, done = Event(), Event()

    def watch() -> None:
        with server.client.monitor() as monitor:  # type: ignore[no-untyped-call] # redis-py's
            ready.set()
            for line in monitor.listen():
                seen.append(line["command"].split(" "))
                if line["command"] == "ECHO end":
                    done.set()
                    return

    thread = Thread(target=watch, daemon=True)
    thread.start()
    ready.wait()
    act()
    wait_for(lambda: server.client.echo("end"), "the last command")
    thread.join()
    return seen


def looked_at(commands: list[list[str]]) -> int:
    """Return how many messages these commands have looked at, at most."""
    total = 0
    for name, *arguments in commands:
        command = name.lower()
        assert command not in {"keys", "scan", "sort", "lpos", "linsert"}
        if command == "lrange":
            first, last = (int(part) + (COUNT if int(part) < 0 else 0) for part in arguments[1:3])
            total += max(0, last - first + 1)
        elif command == "lrem":
            # From the end that it is near to.
            assert abs(int(arguments[1])) == 1
    return total


def job_at(server: Valkey, there: pending.Pending, index: int) -> pending.QueuedJob:
    """Return the job of this index, as if it had been come to by pages."""
    message = server.client.lindex(QUEUE, index)
    assert isinstance(message, bytes)
    length = server.client.llen(QUEUE)
    return there.show(f"{digest_of(message)}.0.{length - 1 - index}.{index}.{QUEUE}")


@pytest.mark.parametrize("end", [NEXT, LAST])
def test_a_page_looks_at_its_own_jobs_only(
    server: Valkey, there: pending.Pending, end: str
) -> None:
    first = there.list(QUEUE, end=end, limit=50)
    commands = commands_of(server, lambda: there.list(QUEUE, end=end, limit=50))
    assert looked_at(commands) == 51
    commands = commands_of(
        server, lambda: there.list(QUEUE, end=end, cursor=first.next_cursor, limit=50)
    )
    # And at the one that the last page has ended with.
    assert looked_at(commands) == 52
    assert first.total > COUNT - 10


@pytest.mark.parametrize("index", [0, 10, COUNT // 10, COUNT // 2, COUNT - 500])
def test_each_change_looks_at_a_few_jobs_wherever_the_job_is(
    server: Valkey, there: pending.Pending, index: int
) -> None:
    acts: tuple[Callable[[str], object], ...] = (
        there.show,
        lambda ref: there.edit(ref, {"first": 1}),
        there.to_front,
        lambda ref: there.move(ref, "other"),
        there.remove,
    )
    server.client.sadd("_kombu.binding.celery", "other\x06\x16\x06\x16other")
    for act in acts:
        job = job_at(server, there, index)
        length = server.client.llen(QUEUE)
        # It has moved on by some since it was seen.
        server.client.rpop(QUEUE, 3)
        commands = commands_of(server, lambda: act(job.ref))  # noqa: B023 (called at once)
        assert looked_at(commands) <= 4 * 100
        is_out = act in acts[3:]
        assert server.client.llen(QUEUE) == length - 3 - is_out


def test_a_job_in_the_middle_is_removed_without_looking_for_it(
    server: Valkey, there: pending.Pending
) -> None:
    job, last = job_at(server, there, COUNT // 2), job_at(server, there, 0)
    length = server.client.llen(QUEUE)
    commands = commands_of(server, lambda: there.remove(job.ref))
    assert "LREM" not in [name.upper() for name, *_ in commands]
    assert server.client.llen(QUEUE) == length - 1
    # The one that came last has its place now; none is lost.
    assert job_at(server, there, COUNT // 2 - 1).job_id == last.job_id
    with pytest.raises(JobGone):
        there.show(job.ref)


def test_what_is_not_there_is_looked_for_nearby_only(
    server: Valkey, there: pending.Pending
) -> None:
    ref = f"{'0' * 40}.0.{COUNT // 3}.{COUNT // 2}.{QUEUE}"

    def show() -> None:
        with pytest.raises(JobGone):
            there.show(ref)

    assert looked_at(commands_of(server, show)) <= 4 * REACH + 4


def test_the_queues_are_shown_without_looking_into_them(server: Valkey) -> None:
    there = Queues(an_app(server.url))
    assert looked_at(commands_of(server, there.list)) == 0
    found = there.show(QUEUE)
    assert found.length > COUNT - 100
    assert found.age is not None
