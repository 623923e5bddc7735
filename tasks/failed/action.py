"""What `celery -A tasks failed retry`, `discard` and `clear` do: the same, with another verb."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from tasks.errors import NoSuchFailedJob
from tasks.failed.job import Filter, Outcome
from tasks.failed.screen import table

if TYPE_CHECKING:
    from tasks.failures import FailedJobs

NOTHING = 1
"""The exit code when there was nothing to do."""

EXAMPLES = 10
"""Jobs that a dry run shows."""


@dataclass(frozen=True)
class How:
    """How the user wants it done."""

    dry_run: bool
    yes: bool
    as_json: bool


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
        if not self.how.yes:
            click.confirm(f"{self.verb} {_count(total)}?", abort=True, err=True)
        hidden = self.how.as_json
        with click.progressbar(
            length=total, label=self.verb, file=sys.stderr, show_pos=True, hidden=hidden
        ) as bar:
            outcome = self.many(where, lambda done, _: bar.update(done - bar.pos), limit)
        self._report(outcome)

    def _preview(self, jobs: "FailedJobs", chosen: Mapping[str, Any], total: int) -> None:
        if not self.how.as_json:
            click.echo(table(jobs.list(limit=min(total, EXAMPLES), **chosen).jobs))
        self._report(Outcome(total, 0))

    def _report(self, outcome: Outcome) -> None:
        if self.how.as_json:
            print_json({"action": self.verb, "dry_run": self.how.dry_run, **asdict(outcome)})
            return
        verb = f"would {self.verb}" if self.how.dry_run else self.past
        gone = f"; {_count(outcome.gone)} not there (any more)" if outcome.gone else ""
        click.echo(f"{verb} {_count(outcome.done)}{gone}")


def nothing_fits() -> None:
    """End the program because no failed job fits."""
    click.echo("no failed job fits", err=True)
    raise SystemExit(NOTHING)


def print_json(value: object) -> None:
    """Print it, for another program to read."""
    click.echo(json.dumps(value, default=str, indent=2))


def _count(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"
