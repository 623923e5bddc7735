"""Changing what waits while a worker takes it: no job is lost, doubled or run with other data."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest

from tasks import failures, pending, scheduler
from tasks.errors import JobGone, NoSuchFailedJob
from tasks.pending import QueuedJob
from tasks.states import JobState
from tests.support import jobs
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

QUEUE, OTHER, NOTES = "races", "low", "notes-of-races"
TRIES = 1_000
SOON = 0.02
"""Seconds before a delayed job is due, when it is tried."""

BACKLOG = 12
"""Jobs that wait, about: few, so that those which are tried are about to be taken."""


@pytest.fixture(autouse=True)
def _empty(valkey: Valkey) -> Iterator[None]:
    yield
    valkey.client.delete(QUEUE, f"{QUEUE}.bell", OTHER, NOTES, "delayed", "delayed.messages")


class Books:
    """What is expected of each job, after what was done to it."""

    def __init__(self) -> None:
        self.words: dict[str, str] = {}
        self.queues: dict[str, str] = {}
        self.removed: set[str] = set()
        self.won: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()

    def send(self, **options: float) -> str:
        data = {"key": NOTES, "word": "sent"}
        job_id = str(jobs.note.apply_async(kwargs=data, queue=QUEUE, **options).id)  # type: ignore[arg-type] # any option
        self.words[job_id], self.queues[job_id] = "sent", QUEUE
        return job_id

    def edit(self, job: QueuedJob) -> None:
        word = f"edited-{random.random()}"  # noqa: S311 (no secret)
        pending.edit(job.ref, {"key": NOTES, "word": word})
        self.words[str(job.job_id)] = word

    def move(self, job: QueuedJob) -> None:
        pending.move(job.ref, OTHER)
        self.queues[str(job.job_id)] = OTHER

    def to_front(self, job: QueuedJob) -> None:
        pending.to_front(job.ref)

    def remove(self, job: QueuedJob) -> None:
        pending.remove(job.ref)
        self.removed.add(str(job.job_id))

    def run_now(self, job: QueuedJob) -> None:
        pending.run_now(job.ref)

    def cancel(self, job: QueuedJob) -> None:
        pending.cancel(job.ref)
        self.removed.add(str(job.job_id))

    def attempt(self, act: Callable[[QueuedJob], None], job: QueuedJob) -> None:
        name = act.__name__
        try:
            act(job)
        except JobGone:
            self.lost[name] += 1
        else:
            self.won[name] += 1

    def check(self, valkey: Valkey) -> None:
        """Wait for all jobs, and compare what has run with what is expected."""
        left = lambda: valkey.client.llen(NOTES) >= len(self.words) - len(self.removed)  # noqa: E731 (one line)
        wait_for(left, "all jobs that were not removed")
        held = lambda: not valkey.client.exists(QUEUE, OTHER, "unacked")  # noqa: E731 (one line)
        wait_for(held, "nothing to be left")
        noted: list[bytes] = valkey.client.lrange(NOTES, 0, -1)  # type: ignore[assignment] # nothing decodes
        notes = [note.decode().split() for note in noted]
        assert sorted(notes) == sorted(
            [job_id, word, self.queues[job_id]]
            for job_id, word in self.words.items()
            if job_id not in self.removed
        )
        states = {scheduler.status(job_id).state for job_id in self.removed}
        assert states == {JobState.CANCELLED}


def test_no_job_is_lost_doubled_or_run_with_other_data_in_a_thousand_tries(
    valkey: Valkey, tmp_path: Path
) -> None:
    books, chance = Books(), random.Random(5)  # noqa: S311 (no secret)
    acts = (books.edit, books.move, books.to_front, books.remove)
    with start_worker(
        tmp_path / "w.log",
        broker_url=valkey.url,
        queues=f"{QUEUE},{OTHER}",
        pool="threads",
    ):
        tries = 0
        while tries < TRIES:
            while valkey.client.llen(QUEUE) < BACKLOG:
                books.send()
            for job in pending.list(QUEUE, limit=BACKLOG // 2).jobs:
                books.attempt(chance.choice(acts), job)
                tries += 1
        books.check(valkey)
    # Otherwise nobody was raced against.
    assert min(books.won[act.__name__] for act in acts) > 10
    assert min(books.lost[act.__name__] for act in acts) > 10


@pytest.mark.usefixtures("clean_failed_jobs")
def test_no_failed_job_is_lost_or_doubled_in_a_thousand_retries(
    valkey: Valkey, tmp_path: Path
) -> None:
    operators = 2
    discarded: set[str] = set()
    won: list[Counter[str]] = [Counter() for _ in range(operators)]
    lost: Counter[int] = Counter()

    def operate(number: int) -> None:
        tries = 0
        while tries < TRIES // operators:
            for job in failures.list(task="tests.note_and_fail").jobs:
                tries += 1
                # One in fifty is thrown away, unless the other one is faster.
                discards = tries % 50 == 0
                try:
                    (failures.discard if discards else failures.retry)(job.job_id)
                except NoSuchFailedJob:
                    lost[number] += 1
                    continue
                won[number][job.job_id] += not discards
                if discards:
                    discarded.add(job.job_id)
                    ids.append(str(jobs.note_and_fail.apply_async((NOTES,), queue=QUEUE).id))

    with start_worker(
        tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE, pool="threads", concurrency=4
    ):
        ids = [str(jobs.note_and_fail.apply_async((NOTES,), queue=QUEUE).id) for _ in range(8)]
        threads = [Thread(target=operate, args=(number,)) for number in range(operators)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        retried = won[0] + won[1]
        wait_for(lambda: failures.count() == len(ids) - len(discarded), "all to have failed again")
    noted: list[bytes] = valkey.client.lrange(NOTES, 0, -1)  # type: ignore[assignment] # nothing decodes
    # Each retry that was said to be done has run the job once, and nothing else has.
    assert Counter(one.decode() for one in noted) == {one: 1 + retried[one] for one in ids}
    assert not valkey.client.exists(QUEUE)
    assert lost.total() > 10
    assert discarded


def test_no_delayed_job_is_lost_or_doubled_when_it_is_due_in_that_moment(
    valkey: Valkey, tmp_path: Path
) -> None:
    books, chance = Books(), random.Random(5)  # noqa: S311 (no secret)
    acts = (books.run_now, books.cancel)
    with start_worker(
        tmp_path / "w.log",
        broker_url=valkey.url,
        queues=f"{QUEUE},{OTHER}",
        pool="threads",
    ):
        for _ in range(300):
            books.send(countdown=3 + 2 * chance.random())
        wait_for(lambda: pending.delayed().total > 250, "most of them to be put aside")
        while page := pending.delayed(limit=5).jobs:
            for job in page:
                if job.due and (job.due - datetime.now(UTC)).total_seconds() < SOON:
                    books.attempt(chance.choice(acts), job)
        books.check(valkey)
    # How many were lost depends on how busy the machine is; that some were tried must not.
    assert sum((books.won + books.lost).values()) > 10
