"""`celery -A tasks outbox ...`: the relay, and what an operator asks of the outbox.

The exit codes, and what may be imported here: see tasks/terminal.py. One more code: 78 when no
outbox is set up (EX_CONFIG of sysexits.h).
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from config.masking import rules
from tasks.errors import NoOutbox, NoSuchRow
from tasks.failed import options
from tasks.terminal import (
    How,
    app_of_command,
    nothing,
    plain,
    print_json,
    report,
    switched,
    with_progress,
)

if TYPE_CHECKING:
    from types import ModuleType

    from tasks.outbox.table import OutboxRow

NOT_SET_UP = 78

_SHOWN = (
    *("id", "task", "queue", "outcome", "attempts", "run", "created_at", "run_at"),
    *("published_at", "started_at", "finished_at", "error"),
)


@click.group()
def outbox() -> None:
    """Publish what waits in the outbox; look at it, and mend it."""


@outbox.command()
def relay() -> None:
    """Publish what its process could not, find what the broker has lost, prune. Runs until stopped.

    Any number may run at once.
    """
    with _outbox():
        from tasks.outbox.database import engine  # noqa: PLC0415 (see tasks/terminal.py)
        from tasks.outbox.relay import Relay  # noqa: PLC0415 (likewise)

        app = click.get_current_context().obj.app
        app.log.setup()
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        running = Relay(app, engine())
        click.echo("The relay looks twice a second. Ctrl-C stops it.", err=True)
        running.run(stop)


@outbox.command()
@options.as_json
def status(as_json: bool) -> None:
    """Tell how many rows wait, are not finished, have failed, and how old the oldest are."""
    with _outbox() as operating:
        found = operating.stats()
    if as_json:
        print_json(asdict(found))
        return
    click.echo(f"not published  {found.unpublished}, the oldest {found.lag:.0f} s ago")
    click.echo(f"not finished   {found.unfinished}, the oldest {found.oldest_unfinished:.0f} s ago")
    click.echo(f"failed         {found.failed}")


@outbox.command("list")
@click.option("--failed", "only_failed", is_flag=True, help="Those that have failed instead.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@click.option("--after", default="", metavar="JOB_ID", help="The last id of the page before.")
@options.as_json
def list_(only_failed: bool, limit: int, after: str, as_json: bool) -> None:
    """List rows that are not finished, by id."""
    with _outbox() as operating:
        found = (operating.failed if only_failed else operating.unfinished)(limit, after)
    if as_json:
        print_json([_facts(row) for row in found])
    for row in () if as_json else found:
        state = row.outcome or ("published" if row.published_at else "not published")
        click.echo(f"{row.id}  {row.task}  {state}  {row.created_at:%Y-%m-%d %H:%M:%S}")
    if not found:
        nothing("No row is like that.")


@outbox.command()
@click.argument("job_id")
@options.as_json
def show(job_id: str, as_json: bool) -> None:
    """Show the row of one job."""
    with _outbox() as operating:
        row = operating.find(job_id)
        if row is None:
            raise NoSuchRow(job_id)
    if as_json:
        print_json(_facts(row))
    for name, value in () if as_json else _facts(row).items():
        click.echo(plain(f"{name:13} {'' if value is None else value}"))


@outbox.command("publish-again")
@click.argument("job_id")
@click.option("--yes", is_flag=True, help="Also if the job is complete: its body runs again.")
@options.as_json
def publish_again(job_id: str, yes: bool, as_json: bool) -> None:
    """Run a job anew, under the same id. An effect that honours its key does not happen again."""
    with _outbox() as operating:
        row = operating.find(job_id)
        if row is not None and row.outcome == "complete" and not yes:
            click.confirm("The job is complete. Run its body again?", abort=True, err=True)
        operating.publish_again(job_id)
    switched(as_json, f"Published {plain(job_id)} again.", job_id=job_id, published=True)


@outbox.command()
@click.option("--older-than", type=click.FloatRange(0), required=True, metavar="DAYS")
@options.how
def prune(older_than: float, **chosen: bool) -> None:
    """Forget rows that finished so many days ago. Relays do it by themselves after OUTBOX_KEEP."""
    how, age = How(**chosen), timedelta(days=older_than)
    with _outbox() as operating:
        total = operating.prunable(age)
        if not total:
            nothing("no row finished so long ago")
        if how.dry_run:
            report("forget", "forgot", how, total, 0, "row")
            return

        def forget(progress: Callable[[int, int], object]) -> int:
            return int(operating.prune(age, lambda done: progress(done, total)))

        done = with_progress("forget", total, how, forget, "row")
        report("forget", "forgot", how, done, 0, "row")


@outbox.command("create-table")
def create_table() -> None:
    """Make the table and its indices where they are missing, for projects without migrations."""
    with _outbox() as operating:
        operating.create_table()
    click.echo("The table job_outbox is there.")


def _facts(row: "OutboxRow") -> dict[str, Any]:
    """Return what may be shown of a row: not its data, which may be anybody's."""
    facts = {name: getattr(row, name) for name in _SHOWN}
    return {**facts, "error": rules().text(row.error) if row.error else None}


@contextmanager
def _outbox() -> "Iterator[ModuleType]":
    """Load the app's tasks, of which one names the database; turn errors into exit codes."""
    try:
        from tasks.outbox import operating  # noqa: PLC0415 (see tasks/terminal.py)
    except ImportError as error:
        says = f"The outbox needs SQLAlchemy: pip install 'expresslane[outbox]' ({error})"
        click.echo(says, err=True)
        raise SystemExit(NOT_SET_UP) from error
    with app_of_command() as app:
        app.loader.import_default_modules()
        try:
            yield operating
        except NoOutbox as error:
            click.echo(str(error), err=True)
            raise SystemExit(NOT_SET_UP) from error
