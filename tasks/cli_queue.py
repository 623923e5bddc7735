"""`celery -A tasks queue ...`: queues, and the jobs that wait in them, in a terminal.

Its exit codes, and what it may import: see tasks/terminal.py.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from config.masking import rules
from tasks.errors import JobGone
from tasks.failed import options
from tasks.terminal import (
    NOTHING,
    How,
    app_of_command,
    columns,
    nothing,
    paged,
    plain,
    print_json,
    report,
    span,
    switched,
    with_progress,
)

if TYPE_CHECKING:
    from tasks.pending import Page, Pending, QueuedJob
    from tasks.queues import Queue

LISTED = 50
DATA_LENGTH = 60
"""Characters of a job's data in a list."""

_REF = re.compile(r"[0-9a-f]{40}\.")
"""How the references of waiting jobs begin; job ids do not."""

_DELAYED_REF = re.compile(r"lane-[0-9a-f]{32}\.")

job = click.argument("job", metavar="JOB")
name = click.argument("name", metavar="QUEUE")
page = options.all_of(
    click.option("--limit", type=click.IntRange(1, 100), default=LISTED, show_default=True),
    click.option("--cursor", help="What the page before has named for the next one."),
    options.as_json,
)


@click.group()
def queue() -> None:
    """Look into queues, mend what waits there, pause and resume them.

    A JOB is its id, if it is among the first or last 10,000 of its queue; or the reference that
    `jobs --json` and `delayed --json` show, which works wherever it is.
    """


# -- queues ----------------------------------------------------------------------------------------


@queue.command("list")
@options.as_json
def list_queues(as_json: bool) -> None:
    """List all queues: how long, how old, who works on them."""
    from tasks.queues import Queues  # noqa: PLC0415 (see tasks/terminal.py)

    with app_of_command() as app:
        found = Queues(app).list()
    if as_json:
        print_json([_queue_as_json(one) for one in found])
    else:
        headings = ("QUEUE", "WAITING", "OLDEST", "HELD", "STATE", "WORKERS")
        click.echo(columns([headings, *map(_queue_row, found)]))


@queue.command()
@name
@options.as_json
def pause(name: str, as_json: bool) -> None:
    """Have no worker take jobs from the queue, until `resume`."""
    from tasks.queues import Queues  # noqa: PLC0415 (see tasks/terminal.py)

    with app_of_command() as app:
        is_new = Queues(app).pause(name)
    says = f"{plain(name)} is paused" if is_new else f"{plain(name)} was paused already"
    switched(as_json, says, queue=name, paused=True, changed=is_new)


@queue.command()
@name
@options.as_json
def resume(name: str, as_json: bool) -> None:
    """Have workers take jobs from the queue again."""
    from tasks.queues import Queues  # noqa: PLC0415 (see tasks/terminal.py)

    with app_of_command() as app:
        is_new = Queues(app).resume(name)
    says = f"{plain(name)} is resumed" if is_new else f"{plain(name)} was not paused"
    switched(as_json, says, queue=name, paused=False, changed=is_new)


# -- jobs in a queue -------------------------------------------------------------------------------


@queue.command("jobs")
@name
@click.option(
    "--end", type=click.Choice(["next", "last"]), default="next", help="Whose turn is next first."
)
@page
def list_jobs(name: str, end: str, limit: int, cursor: str | None, as_json: bool) -> None:
    """List the jobs that wait in a queue."""
    with _pending() as pending:
        found = pending.list(name, end=end, cursor=cursor, limit=limit)
    headings = ("JOB", "TASK", "WAITS", "TRIES", "PRIORITY", "DATA")
    _show_page(found, as_json, f"no job waits in {plain(name)}", headings, _job_row)


@queue.command()
@name
@job
@click.option("--reveal", is_flag=True, help="Show what MASK hides, too.")
@options.as_json
def show(name: str, job: str, reveal: bool, as_json: bool) -> None:
    """Show all that a waiting job carries."""
    with _pending() as pending:
        found = _find(pending, name, job)
    if as_json:
        print_json(found.as_json(reveal=reveal))
    else:
        click.echo(_details(found, reveal=reveal))


@queue.command()
@name
@job
@click.option("--data", required=True, callback=options.json_object, metavar="JSON")
@options.as_json
def edit(name: str, job: str, data: dict[str, Any], as_json: bool) -> None:
    """Have a waiting job run with other data."""
    with _pending() as pending:
        edited = pending.edit(_find(pending, name, job).ref, data)
    if as_json:
        print_json(edited.as_json())
    else:
        click.echo(f"{plain(edited.name)} will run with {_short(edited)}")


@queue.command()
@name
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@click.option("--to", required=True, metavar="QUEUE", help="Behind what waits there.")
@click.option("--all", "everything", is_flag=True, help="All that wait now, in their order.")
@options.how
def move(name: str, jobs: tuple[str, ...], to: str, everything: bool, **chosen: Any) -> None:
    """Move waiting jobs to another queue."""
    how = How(**chosen)
    _check_which(jobs, everything)
    if name == to:
        raise click.UsageError(f"they are in {plain(to)} already")
    with _pending() as pending:
        if everything:
            _all(pending, name, "move", "moved", how, lambda p: pending.move_all(name, to, p))
        else:
            _each(jobs, "move", "moved", how, _in(pending, name), lambda ref: pending.move(ref, to))


@queue.command()
@name
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@options.how
def front(name: str, jobs: tuple[str, ...], **chosen: Any) -> None:
    """Make waiting jobs those whose turn is next; the last one named is the very next."""
    with _pending() as pending:
        find = _in(pending, name)
        _each(
            jobs, "move to the front", "moved to the front", How(**chosen), find, pending.to_front
        )


@queue.command()
@name
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that wait now.")
@options.how
def remove(name: str, jobs: tuple[str, ...], everything: bool, **chosen: Any) -> None:
    """Take waiting jobs out of their queue; they are Cancelled then."""
    how = How(**chosen)
    _check_which(jobs, everything)
    with _pending() as pending:
        if everything:
            _all(pending, name, "remove", "removed", how, lambda p: pending.remove_all(name, p))
        else:
            _each(jobs, "remove", "removed", how, _in(pending, name), pending.remove)


# -- jobs that wait for their time -----------------------------------------------------------------


@queue.command()
@page
def delayed(limit: int, cursor: str | None, as_json: bool) -> None:
    """List the jobs whose time has not come: delayed ones, and those that retry."""
    with _pending() as pending:
        found = pending.delayed(cursor=cursor, limit=limit)
    headings = ("JOB", "TASK", "QUEUE", "DUE", "TRIES", "DATA")
    _show_page(found, as_json, "no job waits for its time", headings, _delayed_row)


@queue.command("run-now")
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@options.how
def run_now(jobs: tuple[str, ...], **chosen: Any) -> None:
    """Put jobs that wait for their time at the front of their queues."""
    with _pending() as pending:
        find = _among_delayed(pending)
        _each(jobs, "run", "queued", How(**chosen), find, pending.run_now)


@queue.command()
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@options.how
def cancel(jobs: tuple[str, ...], **chosen: Any) -> None:
    """Remove jobs that wait for their time; they are Cancelled then."""
    with _pending() as pending:
        find = _among_delayed(pending)
        _each(jobs, "cancel", "cancelled", How(**chosen), find, pending.cancel)


# -- which, and what is done to them ---------------------------------------------------------------


@contextmanager
def _pending() -> "Iterator[Pending]":
    from tasks.pending import Pending  # noqa: PLC0415 (see tasks/terminal.py)

    with app_of_command() as app:
        yield Pending(app)


def _find(pending: "Pending", queue_name: str, job_id: str) -> "QueuedJob":
    if _REF.match(job_id):
        return pending.show(job_id)
    return pending.find(queue_name, job_id)


def _in(pending: "Pending", queue_name: str) -> "Callable[[str], QueuedJob]":
    return lambda job_id: _find(pending, queue_name, job_id)


def _among_delayed(pending: "Pending") -> "Callable[[str], QueuedJob]":
    def find(job_id: str) -> "QueuedJob":
        if _DELAYED_REF.match(job_id):
            return pending.show_delayed(job_id)
        return pending.find_delayed(job_id)

    return find


def _check_which(job_ids: Sequence[str], everything: bool) -> None:
    if bool(job_ids) == everything:
        raise click.UsageError("say which jobs: JOB ..., or --all")


def _each(
    job_ids: Sequence[str],
    verb: str,
    past: str,
    how: How,
    find: "Callable[[str], QueuedJob]",
    act: Callable[[str], object],
) -> None:
    done = 0
    for job_id in job_ids:
        try:
            found = find(job_id)
            if not how.dry_run:
                act(found.ref)
        except JobGone as error:
            click.echo(str(error), err=True)
        else:
            done += 1
    report(verb, past, how, done, len(job_ids) - done)
    if done < len(job_ids):
        raise SystemExit(NOTHING)


def _all(
    pending: "Pending",
    queue_name: str,
    verb: str,
    past: str,
    how: How,
    act: Callable[[Callable[[int, int], object]], Any],
) -> None:
    total = pending.list(queue_name, limit=1).total
    if not total:
        nothing(f"no job waits in {plain(queue_name)}")
    if how.dry_run:
        report(verb, past, how, total, 0)
        return
    outcome = with_progress(verb, total, how, act)
    report(verb, past, how, outcome.done, outcome.gone)


# -- how they look ---------------------------------------------------------------------------------


def _show_page(
    found: "Page",
    as_json: bool,
    empty: str,
    headings: tuple[str, ...],
    row: "Callable[[QueuedJob], tuple[str, ...]]",
) -> None:
    if as_json:
        jobs = [one.as_json() for one in found.jobs]
        print_json({"total": found.total, "next_cursor": found.next_cursor, "jobs": jobs})
    if not found.jobs:
        nothing(empty)
    if not as_json:
        click.echo(columns([headings, *map(row, found.jobs)]))
        click.echo(paged(len(found.jobs), found.total, found.next_cursor))


def _queue_row(found: "Queue") -> tuple[str, ...]:
    state = "paused" if found.is_paused else "" if found.is_consumed else "NOBODY WORKS ON IT"
    return (
        plain(found.name),
        str(found.length),
        "-" if found.age is None else span(found.age),
        "many" if found.held is None else str(found.held),
        plain(f"BROKEN: {found.fault}") if found.fault else state or "ok",
        plain(", ".join(found.consumers)),
    )


def _queue_as_json(found: "Queue") -> dict[str, Any]:
    return {
        "name": found.name,
        "length": found.length,
        "by_priority": dict(found.by_priority),
        "held": found.held,
        "oldest_at": found.oldest_at.isoformat() if found.oldest_at else None,
        "age": found.age,
        "paused_at": found.paused_at.isoformat() if found.paused_at else None,
        "consumers": list(found.consumers),
        "fault": found.fault,
    }


def _job_row(found: "QueuedJob") -> tuple[str, ...]:
    return (
        plain(found.name),
        plain(found.task or "(no job)"),
        _since(found),
        str(found.attempts),
        str(found.priority),
        _short(found),
    )


def _delayed_row(found: "QueuedJob") -> tuple[str, ...]:
    return (
        plain(found.name),
        plain(found.task or "(no job)"),
        plain(found.queue),
        f"{found.due:%Y-%m-%d %H:%M:%S}" if found.due else "-",
        str(found.attempts),
        _short(found),
    )


def _since(found: "QueuedJob") -> str:
    from datetime import UTC, datetime  # noqa: PLC0415 (see tasks/terminal.py)

    if found.enqueued_at is None:
        return "-"
    return span((datetime.now(UTC) - found.enqueued_at).total_seconds())


def _short(found: "QueuedJob") -> str:
    if found.fault is not None:
        return plain(rules().text(found.fault))[:DATA_LENGTH]
    text = json.dumps(rules().value(dict(found.data)), default=str, ensure_ascii=False)
    return plain(text if len(text) <= DATA_LENGTH else f"{text[: DATA_LENGTH - 3]}...")


def _details(found: "QueuedJob", *, reveal: bool) -> str:
    shown = found.as_json(reveal=reveal)
    facts = {
        "job": found.job_id or "(no job)",
        "reference": found.ref,
        "task": found.task or "-",
        "queue": found.queue,
        "priority": str(found.priority),
        "data": json.dumps(shown["data"], default=str, ensure_ascii=False),
        **({"arguments": json.dumps(shown["args"], default=str)} if found.args else {}),
        "waits since": f"{found.enqueued_at:%Y-%m-%d %H:%M:%S} UTC" if found.enqueued_at else "-",
        "attempts": str(found.attempts),
        "retried": f"{found.reruns} times",
        **({"request": found.request_id} if found.request_id else {}),
        **({} if found.is_job else {"fault": shown["fault"], "bytes": shown["message"]}),
    }
    return "\n".join(f"{fact:<14}{plain(value)}".rstrip() for fact, value in facts.items())
