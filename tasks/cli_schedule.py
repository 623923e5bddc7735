"""`celery -A tasks schedule ...`: what beat puts into queues by the clock, in a terminal.

Its exit codes, and what it may import: see tasks/terminal.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from config.masking import rules
from tasks.failed import options
from tasks.terminal import app_of_command, columns, nothing, plain, print_json, switched

if TYPE_CHECKING:
    from datetime import datetime

    from tasks.schedule import Entry, Schedule

NO_BEAT = "no beat is running: nothing is put into queues by the clock"

name = click.argument("name", metavar="ENTRY")


@click.group()
def schedule() -> None:
    """Look at the schedule, run an entry now, pause and resume it."""


@schedule.command("list")
@options.as_json
def list_entries(as_json: bool) -> None:
    """List the entries of the schedule."""
    with _schedule() as found:
        entries, is_running = found.list(), found.is_running()
    if as_json:
        print_json({"is_running": is_running, "entries": [entry.as_json() for entry in entries]})
    elif not is_running:
        click.echo(NO_BEAT, err=True)
    if not entries:
        nothing("the schedule is empty, or no beat was ever started")
    if not as_json:
        headings = ("ENTRY", "SCHEDULE", "TASK", "LAST RUN", "NEXT RUN", "RUNS", "STATE")
        click.echo(columns([headings, *map(_row, entries)]))


@schedule.command()
@name
@options.as_json
def run(name: str, as_json: bool) -> None:
    """Run an entry once now, besides its times."""
    with _schedule() as found:
        is_new, is_running = found.run_now(name), found.is_running()
    again = "" if is_new else "; that was asked for already"
    says = f"{plain(name)} will run now{again}"
    switched(as_json, says, entry=name, requested=True, changed=is_new, is_running=is_running)
    if not is_running:
        click.echo(f"{NO_BEAT}; it will run when one is started", err=True)


@schedule.command()
@name
@options.as_json
def pause(name: str, as_json: bool) -> None:
    """Leave an entry out, until `resume`."""
    with _schedule() as found:
        is_new = found.pause(name)
    says = f"{plain(name)} is paused" if is_new else f"{plain(name)} was paused already"
    switched(as_json, says, entry=name, paused=True, changed=is_new)


@schedule.command()
@name
@options.as_json
def resume(name: str, as_json: bool) -> None:
    """Obey an entry again, from its next time on."""
    with _schedule() as found:
        is_new = found.resume(name)
    says = f"{plain(name)} is resumed" if is_new else f"{plain(name)} was not paused"
    switched(as_json, says, entry=name, paused=False, changed=is_new)


@contextmanager
def _schedule() -> "Iterator[Schedule]":
    from tasks.schedule import Schedule  # noqa: PLC0415 (see tasks/terminal.py)

    with app_of_command() as app:
        yield Schedule(app)


def _row(entry: "Entry") -> tuple[str, ...]:
    asked = "will run now" if entry.requested_at else ""
    state = "paused" if entry.is_paused else asked or "ok"
    return (
        plain(entry.name),
        plain(entry.words),
        plain(entry.task),
        _time(entry.last_run_at),
        _time(entry.next_run_at),
        str(entry.total_runs),
        plain(f"left out: {rules().text(entry.error)}") if entry.error else state,
    )


def _time(at: "datetime | None") -> str:
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
