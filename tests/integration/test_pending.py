"""The jobs that wait: looked at in pages, and changed one at a time, without workers."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks import pending, quarantine, scheduler
from tasks.errors import BadCursor, BadJob, JobGone, NoSuchQueue, NotAJob
from tasks.pending import DELAYED, HELD, LAST, NEXT, QUEUED, QueuedJob
from tasks.states import JobState
from tests.support.valkey import Valkey

QUEUE = "nobody-works-here"
OTHER = "low"
GARBAGE = b'\xff {"garbage'


@pytest.fixture(autouse=True)
def _empty(valkey: Valkey) -> Iterator[None]:
    def empty() -> None:
        for queue in (QUEUE, OTHER):
            valkey.client.delete(*(f"{queue}{part}" for part in ("", ".bell", *LISTS)))
        valkey.client.delete("quarantine", "quarantine.count", "delayed", "delayed.messages")

    empty()
    yield
    empty()


LISTS = [f"\x06\x16{priority}" for priority in (3, 6, 9)]


def stored(message: bytes) -> bytes:
    """A message as it is kept beside its queue's name, claimed or put aside."""
    return b"[" + message + b',"",' + json.dumps(QUEUE).encode() + b"]"


def test_a_job_is_located_in_its_queue_put_aside_or_with_a_worker(valkey: Valkey) -> None:
    others = [send(number) for number in range(3)]
    job_id = send()
    seen = pending.locate(job_id)
    assert seen is not None
    assert (seen.where, seen.job.job_id, pending.show(seen.job.ref)) == (QUEUED, job_id, seen.job)
    message = valkey.client.lpop(QUEUE)
    assert isinstance(message, bytes)
    assert pending.locate(job_id) is None
    tag = f"lane-{0:032x}.1.0"
    valkey.client.hset("delayed.messages", tag, stored(message))
    valkey.client.zadd("delayed", {tag: 4_000_000_000})
    seen = pending.locate(job_id)
    assert seen is not None
    assert (seen.where, pending.show_delayed(seen.job.ref)) == (DELAYED, seen.job)
    valkey.client.delete("delayed", "delayed.messages")
    # Beside what workers of other tests hold.
    valkey.client.hset("unacked", tag, stored(message))
    try:
        seen = pending.locate(job_id)
        assert seen is not None
        assert (seen.where, seen.job.queue, seen.job.due) == (HELD, QUEUE, None)
    finally:
        valkey.client.hdel("unacked", tag)
    assert [job.job_id for job in pending.list(QUEUE).jobs] == others


def send(number: int = 1, *, queue: str = QUEUE, **options: Any) -> str:
    from tasks.celery import app

    data = {"first": number, "second": 0}
    return str(app.send_task("tests.add", kwargs=data, queue=queue, **options).id)


def send_many(count: int) -> list[str]:
    return [send(number) for number in range(count)]


def pages(end: str, limit: int) -> Iterator[pending.Page]:
    cursor = None
    while True:
        page = pending.list(QUEUE, end=end, cursor=cursor, limit=limit)
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return


def ids(page: pending.Page) -> list[str | None]:
    return [job.job_id for job in page.jobs]


def waiting(queue: str = QUEUE) -> list[str | None]:
    return ids(pending.list(queue, limit=100))


def only(queue: str = QUEUE) -> QueuedJob:
    (job,) = pending.list(queue).jobs
    return job


# -- looking ---------------------------------------------------------------------------------------


def test_an_empty_queue_has_one_empty_page() -> None:
    for end in (NEXT, LAST):
        page = pending.list(QUEUE, end=end)
        assert (page.jobs, page.total, page.next_cursor) == ((), 0, None)


def test_a_job_shows_all_that_it_carries() -> None:
    before = datetime.now(UTC)
    job_id = send(4, priority=6, headers={"request_id": "click-1"})
    job = only()
    assert (job.job_id, job.task, dict(job.data)) == (
        job_id,
        "tests.add",
        {"first": 4, "second": 0},
    )
    assert (job.queue, job.priority, job.attempts, job.reruns) == (QUEUE, 6, 0, 0)
    assert (job.request_id, job.due, job.fault) == ("click-1", None, None)
    assert job.enqueued_at is not None
    assert before - timedelta(seconds=1) < job.enqueued_at < datetime.now(UTC)
    assert pending.show(job.ref) == job
    assert json.loads(json.dumps(job.as_json()))["data"] == {"first": 4, "second": 0}


@pytest.mark.parametrize("limit", [1, 3, 7, 10, 100])
def test_pages_show_each_job_once_in_its_order_from_either_end(limit: int) -> None:
    sent: list[str | None] = [*send_many(10)]
    sent += [send(0, priority=3), send(0, priority=3), send(0, priority=9)]
    for end, expected in ((NEXT, sent), (LAST, sent[::-1])):
        found = list(pages(end, limit))
        assert [job for page in found for job in ids(page)] == expected
        assert {page.total for page in found} == {13}
        assert max(len(page.jobs) for page in found) <= limit


def test_a_page_goes_on_where_the_last_one_ended_while_workers_take(valkey: Valkey) -> None:
    sent = send_many(30)
    first = pending.list(QUEUE, limit=10)
    valkey.client.rpop(QUEUE, 5)
    second = pending.list(QUEUE, cursor=first.next_cursor, limit=10)
    assert ids(second) == sent[10:20]


def test_a_page_skips_none_when_all_before_it_were_taken(valkey: Valkey) -> None:
    sent = send_many(30)
    first = pending.list(QUEUE, limit=10)
    valkey.client.rpop(QUEUE, 15)
    second = pending.list(QUEUE, cursor=first.next_cursor, limit=10)
    assert ids(second) == sent[15:25]


def test_a_page_from_the_end_goes_on_where_the_last_one_ended_while_producers_add() -> None:
    sent = send_many(30)
    first = pending.list(QUEUE, end=LAST, limit=10)
    send_many(25)
    second = pending.list(QUEUE, end=LAST, cursor=first.next_cursor, limit=10)
    assert ids(second) == sent[10:20][::-1]


def test_a_page_goes_on_when_its_last_job_was_removed() -> None:
    sent = send_many(30)
    first = pending.list(QUEUE, limit=10)
    pending.remove(first.jobs[-1].ref)
    assert ids(pending.list(QUEUE, cursor=first.next_cursor, limit=10)) == sent[10:20]


@pytest.mark.parametrize("cursor", ["", "x", "0.1", "0.1.2.", "a.1.2.3", "0.0.0.a.b.c.d", "::"])
def test_a_cursor_of_no_page_is_refused(cursor: str) -> None:
    send()
    with pytest.raises(BadCursor):
        pending.list(QUEUE, cursor=cursor)
    with pytest.raises(BadCursor):
        pending.delayed(cursor=cursor)


def test_a_job_is_found_by_its_id() -> None:
    send_many(3)
    job_id = send(7, priority=9)
    assert pending.find(QUEUE, job_id).data["first"] == 7
    with pytest.raises(JobGone, match=r"not among the first and the last 10,000 .* Waiting"):
        pending.find(OTHER, job_id)


# -- changing --------------------------------------------------------------------------------------


def test_edited_data_take_the_place_of_all_that_the_job_had(valkey: Valkey) -> None:
    sent = send_many(3)
    job = pending.list(QUEUE).jobs[1]
    edited = pending.edit(job.ref, {"first": 40, "second": 2})
    assert (edited.job_id, dict(edited.data)) == (sent[1], {"first": 40, "second": 2})
    assert waiting() == sent
    assert pending.show(edited.ref) == edited
    with pytest.raises(JobGone):
        pending.show(job.ref)
    assert b"40" not in json.dumps(edited.headers["kwargsrepr"]).encode()
    assert valkey.client.llen(QUEUE) == 3


def test_data_that_cannot_be_sent_are_refused() -> None:
    send()
    refused: tuple[Any, ...] = ({"a": object()}, {"a": {"__type__": "x", "__value__": 1}})
    for data in refused:
        with pytest.raises(BadJob):
            pending.edit(only().ref, data)
    assert dict(only().data) == {"first": 1, "second": 0}


def test_a_moved_job_waits_behind_the_others_of_its_priority_there() -> None:
    there = [send(0, queue=OTHER), send(0, queue=OTHER, priority=6)]
    sent = [send(1), send(2, priority=6)]
    for job in pending.list(QUEUE).jobs:
        pending.move(job.ref, OTHER)
    assert waiting() == []
    assert waiting(OTHER) == [there[0], sent[0], there[1], sent[1]]
    moved = pending.find(OTHER, sent[0])
    assert json.loads(moved.message)["properties"]["delivery_info"]["routing_key"] == OTHER


def test_a_job_is_not_moved_to_a_queue_that_does_not_exist() -> None:
    send()
    with pytest.raises(NoSuchQueue, match=r"no queue 'lwo'; there are .*low"):
        pending.move(only().ref, "lwo")
    assert len(waiting()) == 1


def test_a_job_is_not_lost_when_the_other_queue_is_broken(valkey: Valkey) -> None:
    job_id = send()
    valkey.client.set(OTHER, "no list")
    with pytest.raises(Exception, match="WRONGTYPE"):
        pending.move(only().ref, OTHER)
    assert waiting() == [job_id]


def test_a_job_is_moved_to_the_front_of_all_priorities() -> None:
    sent = [*send_many(3), send(0, priority=9)]
    jobs = pending.list(QUEUE).jobs
    pending.to_front(jobs[3].ref)
    pending.to_front(jobs[1].ref)
    assert waiting() == [sent[1], sent[3], sent[0], sent[2]]


def test_a_removed_job_is_cancelled(valkey: Valkey) -> None:
    sent = send_many(3)
    removed = pending.remove(pending.list(QUEUE).jobs[1].ref)
    assert removed.job_id == sent[1]
    assert waiting() == [sent[0], sent[2]]
    assert scheduler.status(sent[1]).state is JobState.CANCELLED
    assert scheduler.status(sent[0]).state is JobState.WAITING
    assert valkey.client.exists("quarantine") == 0


def test_what_a_worker_took_first_is_left_alone(valkey: Valkey) -> None:
    job_id = send()
    job = only()
    valkey.client.rpop(QUEUE)
    for act in (
        pending.show,
        pending.to_front,
        pending.remove,
        lambda ref: pending.move(ref, OTHER),
        lambda ref: pending.edit(ref, {}),
    ):
        with pytest.raises(JobGone, match="a worker took it first"):
            act(job.ref)
    assert (waiting(), waiting(OTHER)) == ([], [])
    assert scheduler.status(job_id).state is JobState.WAITING


@pytest.mark.parametrize("ref", ["", "x", "a.b.c.d.e", "0.0.0"])
def test_what_names_no_job_is_gone(ref: str) -> None:
    with pytest.raises(JobGone, match="take the reference from a list"):
        pending.show(ref)


def test_a_message_that_is_no_job_is_listed_and_can_be_removed_to_quarantine(
    valkey: Valkey,
) -> None:
    job_id = send()
    valkey.client.lpush(QUEUE, GARBAGE, GARBAGE)
    first, *bad = pending.list(QUEUE).jobs
    assert (first.job_id, first.is_job) == (job_id, True)
    assert [job.message for job in bad] == [GARBAGE, GARBAGE]
    assert not any(job.is_job for job in bad)
    with pytest.raises(NotAJob):
        pending.edit(bad[0].ref, {})
    pending.remove(bad[0].ref)
    (kept,) = quarantine.newest()
    assert (kept.message, kept.queue) == (GARBAGE, QUEUE)
    assert "removed by hand" in kept.reason
    assert valkey.client.llen(QUEUE) == 2


# -- changing many ---------------------------------------------------------------------------------


def test_all_jobs_are_moved_in_their_order() -> None:
    before = send(0, queue=OTHER)
    sent = [*send_many(230)]
    low = send(0, priority=9)
    seen: list[tuple[int, int]] = []
    outcome = pending.move_all(QUEUE, OTHER, lambda *at: seen.append(at))
    assert (outcome.done, outcome.gone) == (231, 0)
    assert seen == [(100, 231), (200, 231), (230, 231), (231, 231)]
    moved: list[str | None] = []
    cursor = None
    while True:
        page = pending.list(OTHER, cursor=cursor, limit=100)
        moved += ids(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert moved == [before, *sent, low]


def test_all_jobs_are_removed_and_cancelled(valkey: Valkey) -> None:
    sent = send_many(130)
    valkey.client.lpush(QUEUE, GARBAGE)
    outcome = pending.remove_all(QUEUE)
    assert (outcome.done, outcome.gone) == (131, 0)
    assert valkey.client.llen(QUEUE) == 0
    assert {scheduler.status(job_id).state for job_id in sent} == {JobState.CANCELLED}
    assert quarantine.count() == 1


# -- what waits for its time -----------------------------------------------------------------------


def put_aside(valkey: Valkey, due: float, number: int) -> str:
    """Put a job aside as a worker does."""
    eta = datetime.fromtimestamp(due, UTC)
    job_id = send(number, eta=eta)
    message = valkey.client.lpop(QUEUE)
    assert isinstance(message, bytes)
    tag = f"lane-test.{number}.0"
    stored = b"[" + message + b',"",' + json.dumps(QUEUE).encode() + b"]"
    valkey.client.hset("delayed.messages", tag, stored)
    valkey.client.zadd("delayed", {tag: due})
    return job_id


FAR = 4_000_000_000.0


def test_delayed_jobs_are_listed_by_their_time(valkey: Valkey) -> None:
    sent = {n: put_aside(valkey, FAR + (n % 3), n) for n in range(30)}
    expected = [sent[n] for n in sorted(sent, key=lambda n: (n % 3, f"lane-test.{n}.0"))]
    found: list[str | None] = []
    cursor = None
    while True:
        page = pending.delayed(cursor=cursor, limit=7)
        assert page.total == 30
        found += ids(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == expected
    (first, *_) = pending.delayed(limit=1).jobs
    assert (first.due, first.queue) == (datetime.fromtimestamp(FAR, UTC), QUEUE)


def test_a_page_of_delayed_jobs_goes_on_when_its_last_one_is_gone(valkey: Valkey) -> None:
    for n in range(9):
        put_aside(valkey, FAR, n)
    first = pending.delayed(limit=4)
    pending.cancel(first.jobs[-1].ref)
    second = pending.delayed(cursor=first.next_cursor, limit=4)
    assert [job.ref for job in second.jobs] == [f"lane-test.{n}.0" for n in (4, 5, 6, 7)]


def test_a_delayed_job_that_is_to_run_now_comes_first_and_waits_for_no_time(
    valkey: Valkey,
) -> None:
    send_many(2)
    job_id = put_aside(valkey, FAR, 5)
    pending.run_now("lane-test.5.0")
    assert waiting()[0] == job_id
    assert pending.find(QUEUE, job_id).headers["eta"] is None
    assert pending.delayed().total == 0
    for act in (pending.run_now, pending.cancel, pending.show_delayed):
        with pytest.raises(JobGone, match="waits for its time no more"):
            act("lane-test.5.0")


def test_a_cancelled_delayed_job_is_cancelled(valkey: Valkey) -> None:
    job_id = put_aside(valkey, FAR, 5)
    assert pending.cancel("lane-test.5.0").job_id == job_id
    assert scheduler.status(job_id).state is JobState.CANCELLED
    assert valkey.client.exists("delayed", "delayed.messages") == 0
