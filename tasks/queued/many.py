"""Moving and removing all that waits in a queue, in steps that workers and pages never notice."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from tasks.queued.change import moved
from tasks.queued.job import NEXT, Outcome, QueuedJob, place_of
from tasks.queued.store import QueueStore

Progress = Callable[[int, int], object]
"""Called with how many jobs were handled, and how many there are to handle."""

STEP = 100
"""Jobs that are handled in one trip to the server."""

TRIES = 20
"""How often jobs are read anew, of which none could be handled, until they are taken for gone."""

Handle = Callable[[int, list[QueuedJob]], int]
"""Called with a priority and the jobs whose turn is next; returns how many were still there."""


def move_waiting(store: QueueStore, queue: str, to: str, progress: Progress | None) -> Outcome:
    """Move as many jobs as wait now, each priority by itself, in their order."""

    def move(priority: int, jobs: list[QueuedJob]) -> int:
        pairs = [part for job in jobs for part in (job.message, moved(job.message, to))]
        return store.move_next(queue, priority, to, pairs)

    return _handle_all(store, queue, move, progress)


def remove_waiting(
    store: QueueStore,
    queue: str,
    keep: int,
    mark_cancelled: Callable[[Sequence[QueuedJob]], None],
    progress: Progress | None,
) -> Outcome:
    """Remove as many jobs as wait now."""

    def remove(_: int, jobs: list[QueuedJob]) -> int:
        # Each is the next one once those before it are out.
        places = [replace(place_of(job.ref), from_next=0) for job in jobs]
        done = store.remove(jobs, places, keep)
        removed = [job for job, is_done in zip(jobs, done, strict=True) if is_done]
        mark_cancelled(removed)
        return len(removed)

    return _handle_all(store, queue, remove, progress)


def _handle_all(
    store: QueueStore, queue: str, handle: Handle, progress: Progress | None
) -> Outcome:
    lengths = store.lengths(queue)
    total, done, gone = sum(lengths.values()), 0, 0
    for priority, length in lengths.items():
        left, tries = length, TRIES
        while left > 0:
            jobs = store.part(queue, priority, NEXT, min(left, STEP))
            handled = handle(priority, jobs)
            if jobs and not handled and tries:
                # Something was put before them in between. They are read anew.
                tries -= 1
                continue
            # Workers took those that were not there; and all that was left, if nothing is.
            seen, tries = len(jobs) or left, TRIES
            done, gone, left = done + handled, gone + seen - handled, left - seen
            if progress is not None:
                progress(done + gone, total)
    return Outcome(done, gone)
