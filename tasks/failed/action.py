"""What `celery -A tasks failed retry`, `discard` and `clear` do: the same, with another verb."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from tasks.errors import NoSuchFailedJob
from tasks.failed.job import Filter, Outcome
from tasks.failed.screen import table
from tasks.terminal import NOTHING, How, nothing, report, with_progress

if TYPE_CHECKING:
    from tasks.failures import FailedJobs

EXAMPLES = 10
"""Jobs that a dry run shows."""


@dataclass(frozen=True)
class Action:
    """What is done to jobs: the verb, how it is done to one, and to many."""

    verb: str
    past: str
    one: Callable[[str], object]
    many: Callable[[Filter, Callable[[int, int], object], int | None], Outcome]
    how: How

    def on_named(self, jobs: "FailedJobs", job_ids: tuple[str, ...]) -> None:
        """Do it to these jobs."""
        missing = 0
        for job_id in job_ids:
            try:
                (jobs.show if self.how.dry_run else self.one)(job_id)
            except NoSuchFailedJob as error:
                missing += 1
                click.echo(str(error), err=True)
        self._report(Outcome(len(job_ids) - missing, missing))
        if missing:
            raise SystemExit(NOTHING)

    def on_fitting(self, jobs: "FailedJobs", chosen: Mapping[str, Any], limit: int | None) -> None:
        """Do it to the jobs that fit the filter."""
        where = Filter(**chosen)
        total = jobs.count(where) if limit is None else min(limit, jobs.count(where))
        if not total:
            nothing_fits()
        if self.how.dry_run:
            self._preview(jobs, chosen, total)
            return
        outcome = with_progress(
            self.verb, total, self.how, lambda progress: self.many(where, progress, limit)
        )
        self._report(outcome)

    def _preview(self, jobs: "FailedJobs", chosen: Mapping[str, Any], total: int) -> None:
        if not self.how.as_json:
            click.echo(table(jobs.list(limit=min(total, EXAMPLES), **chosen).jobs))
        self._report(Outcome(total, 0))

    def _report(self, outcome: Outcome) -> None:
        report(self.verb, self.past, self.how, outcome.done, outcome.gone)


def nothing_fits() -> None:
    """End the program because no failed job fits."""
    nothing("no failed job fits")
