"""`celery -A tasks failed ...`: failed jobs in a terminal.

Its exit codes, and what it may import: see tasks/terminal.py.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from tasks.failed import options
from tasks.failed.action import Action, nothing_fits
from tasks.failed.screen import details, table
from tasks.terminal import How, app_of_command, paged, print_json

if TYPE_CHECKING:
    from tasks.failures import FailedJobs

LISTED = 50


@click.group()
def failed() -> None:
    """Look at failed jobs, retry them, discard them."""


@failed.command("list")
@options.filters
@click.option("--limit", type=click.IntRange(1), default=LISTED, show_default=True)
@click.option("--cursor", help="What the page before has named for the next one.")
@options.as_json
def list_failed(limit: int, cursor: str | None, as_json: bool, **where: Any) -> None:
    """List failed jobs, the newest first."""
    with _failed_jobs() as jobs:
        page = jobs.list(limit=limit, cursor=cursor, **where)
    if as_json:
        shown = [job.as_json() for job in page.jobs]
        print_json({"total": page.total, "next_cursor": page.next_cursor, "jobs": shown})
    if not page.jobs:
        nothing_fits()
    if not as_json:
        click.echo(f"{table(page.jobs)}\n{paged(len(page.jobs), page.total, page.next_cursor)}")


@failed.command()
@click.argument("job_id")
@click.option("--reveal", is_flag=True, help="Show what MASK hides, too.")
@options.as_json
def show(job_id: str, reveal: bool, as_json: bool) -> None:
    """Show all that is known of one failed job."""
    with _failed_jobs() as jobs:
        job = jobs.show(job_id)
    if as_json:
        print_json(job.as_json(reveal=reveal))
    else:
        click.echo(details(job, reveal=reveal))


@failed.command()
@options.which
@click.option(
    "--data", callback=options.json_object, metavar="JSON", help="Run it with these data instead."
)
@options.how
def retry(data: Mapping[str, Any] | None, **chosen: Any) -> None:
    """Put failed jobs back into their queues: those named, or those that fit the options."""
    if data is not None and len(chosen["job_ids"]) != 1:
        raise click.UsageError("--data needs exactly one JOB_ID")
    with _failed_jobs() as jobs:
        one, many = (lambda job_id: jobs.retry(job_id, data)), jobs.retry_many
        _act(jobs, Action("retry", "retried", one, many, _how(chosen)), **chosen)


@failed.command()
@options.which
@options.how
def discard(**chosen: Any) -> None:
    """Forget failed jobs for good: those named, or those that fit the options."""
    with _failed_jobs() as jobs:
        _act(jobs, _discarding(jobs, chosen), **chosen)


@failed.command()
@options.how
def clear(**chosen: Any) -> None:
    """Forget all failed jobs for good."""
    with _failed_jobs() as jobs:
        _discarding(jobs, chosen).on_fitting(jobs, {}, None)


def _discarding(jobs: "FailedJobs", chosen: dict[str, Any]) -> Action:
    return Action("discard", "discarded", jobs.discard, jobs.discard_many, _how(chosen))


def _how(chosen: dict[str, Any]) -> How:
    """Take out of what was chosen how it is to be done."""
    return How(**{name: chosen.pop(name) for name in ("dry_run", "yes", "as_json")})


def _act(
    jobs: "FailedJobs",
    action: Action,
    *,
    job_ids: tuple[str, ...],
    everything: bool,
    limit: int | None,
    **where: Any,
) -> None:
    fitting = {name: value for name, value in where.items() if value is not None}
    if job_ids and (fitting or everything or limit):
        raise click.UsageError("name jobs, or say which by options, not both")
    if not job_ids and not fitting and not everything:
        raise click.UsageError(f"say which jobs to {action.verb}: JOB_ID, --task, ..., or --all")
    if job_ids:
        action.on_named(jobs, job_ids)
    else:
        action.on_fitting(jobs, fitting, limit)


@contextmanager
def _failed_jobs() -> "Iterator[FailedJobs]":
    """Yield the failed jobs of the app that `-A` names."""
    from tasks.failures import FailedJobs  # noqa: PLC0415 (see tasks/terminal.py)

    with app_of_command() as app:
        yield FailedJobs(app)
