"""The job that waits, and the file of JSON lines that it and others write to at once."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import pytest

from tasks.work import test_job as waiting_job
from tasks.work.journal import append

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WRITERS, THREADS, LINES = 4, 3, 40


def entries(journal: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in journal.read_text().splitlines()]


def write_many(journal: Path, writer: int) -> None:
    """Write lines from several threads; each is longer than what a pipe writes in one piece."""

    def write(thread: int) -> None:
        for line in range(LINES):
            append(journal, {"who": [writer, thread, line], "long": "x" * 5000})

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, range(THREADS)))


def test_concurrent_processes_and_threads_lose_and_mix_no_line(tmp_path: Path) -> None:
    journal = tmp_path / "deep" / "journal.jsonl"
    spawn = get_context("spawn")
    processes = [spawn.Process(target=write_many, args=(journal, who)) for who in range(WRITERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
        process.close()
    found = entries(journal)
    assert {tuple(entry["who"]) for entry in found} == {  # type: ignore[arg-type]
        (writer, thread, line)
        for writer in range(WRITERS)
        for thread in range(THREADS)
        for line in range(LINES)
    }
    assert len(found) == WRITERS * THREADS * LINES


def test_a_line_stays_one_line_whatever_is_in_it(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    append(journal, {"payload": "a\r\nb\u2028c\ud800"})
    assert journal.read_bytes().count(b"\n") == 1
    assert entries(journal) == [{"payload": "a\r\nb\u2028c\ud800"}]


def test_a_line_that_a_crash_cut_short_does_not_swallow_the_next(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_text('{"payload": "cut sh')
    append(journal, {"payload": "whole"})
    assert journal.read_text().splitlines()[1] == '{"payload": "whole"}'


def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "journal.jsonl"
    append(journal, {"payload": "first"})
    before = journal.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:3]))
    with pytest.raises(OSError, match="is the disk full"):
        append(journal, {"payload": "second"})
    assert journal.read_bytes() == before


def test_the_wait_is_drawn_and_slept_in_ten_reported_steps() -> None:
    reports: list[tuple[int, int, str]] = []
    slept: list[float] = []
    seconds = waiting_job.wait(
        4.0,
        report=lambda *step: reports.append(step),
        draw=lambda low, high: (low + high) / 2,
        sleep=slept.append,
    )
    assert (seconds, len(slept)) == (2.0, 10)
    assert sum(slept) == pytest.approx(seconds)
    assert [done for done, _, _ in reports] == list(range(11))
    assert {total for _, total, _ in reports} == {10}


@pytest.mark.parametrize("bad", [-0.1, 60.1, float("nan"), float("inf")])
def test_a_wait_out_of_bounds_is_refused_before_it_begins(bad: float) -> None:
    with pytest.raises(ValueError, match="0 to 60 seconds"):
        waiting_job.wait(bad, report=lambda *_: pytest.fail("it began"))


def test_the_line_holds_payload_date_and_job_id_and_the_sentence_says_so(tmp_path: Path) -> None:
    journal = tmp_path / "test_job.jsonl"
    sentence = waiting_job.record("Hello", 1.25, journal=journal, job_id="job-1", now=NOW)
    date = "2026-11-23T12:00:00.000+00:00"
    assert entries(journal) == [{"payload": "Hello", "date": date, "job_id": "job-1"}]
    assert sentence == f"Test job with payload 'Hello' waited 1.2 s and was done at {date}."
    assert datetime.fromisoformat(date) == NOW
