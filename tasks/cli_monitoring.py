"""`celery -A tasks history|metrics|job`: what became of jobs, and how all is.

Their exit codes, and what they may import: see tasks/terminal.py. `job show` ends with 1 when
nothing is known of the job.
"""

import json
import signal
import threading
from typing import TYPE_CHECKING, Any

import click

from tasks.states import JobState
from tasks.terminal import UNAVAILABLE, app_of_command, exit_codes, nothing, plain, print_json

if TYPE_CHECKING:
    from tasks.history import Tally
    from tasks.pending import Sighting

PERIODS = ("1h", "6h", "1d", "7d", "14d")


@click.command()
@click.option("--last", type=click.Choice(PERIODS), default="1h", show_default=True)
@click.option("--task", help="Of this task only.")
@click.option("--queue", help="Of this queue only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with each step of time.")
def history(last: str, task: str | None, queue: str | None, as_json: bool) -> None:
    """Show how many jobs were processed and failed, and how long they waited and ran."""
    from tasks.history import PERIODS as periods  # noqa: N811, PLC0415 (a mapping; see the module)
    from tasks.history import History, total  # noqa: PLC0415 (see tasks/terminal.py)

    with exit_codes():
        buckets = History(click.get_current_context().obj.app).read(periods[last])
    every = sorted({series for bucket in buckets for series in bucket.counts})
    fitting = [s for s in every if task in (None, s.task) and queue in (None, s.queue)]
    rows = {series: total(buckets, task=series.task, queue=series.queue) for series in fitting}
    if as_json:
        steps = [
            {"at": bucket.at.isoformat(), **as_facts(bucket.total(task=task, queue=queue))}
            for bucket in buckets
        ]
        found = [{**series._asdict(), **as_facts(tally)} for series, tally in rows.items()]
        click.echo(json.dumps({"period": last, "series": found, "steps": steps}))
    elif not rows:
        click.echo(f"No job has ended in the {periods[last].title}.")
    else:
        click.echo(_LINE.format("task", "queue", "processed", "failed", "waited p95", "ran p95"))
        for series, tally in rows.items():
            waited, ran = (seconds(part.percentile(0.95)) for part in (tally.wait, tally.run))
            click.echo(_LINE.format(*series, tally.processed, tally.failed, waited, ran))


@click.command()
@click.option(
    "--serve",
    type=click.IntRange(1, 65_535),
    metavar="PORT",
    help="Answer Prometheus on this port of this machine, until stopped, instead.",
)
def metrics(serve: int | None) -> None:
    """Print the metrics for Prometheus, or serve them."""
    from prometheus_client import start_http_server  # noqa: PLC0415 (see tasks/terminal.py)

    from tasks.metrics import registry_of, text_of  # noqa: PLC0415 (likewise)

    app = click.get_current_context().obj.app
    if serve is None:
        text = text_of(app)
        click.echo(text, nl=False)
        raise SystemExit(0 if b"expresslane_up 1.0" in text else UNAVAILABLE)
    try:
        server, thread = start_http_server(serve, "127.0.0.1", registry_of(app))
    except OSError as error:
        raise click.UsageError(f"port {serve} cannot be used: {error}") from error
    click.echo(f"Metrics are at http://127.0.0.1:{serve}/metrics. Ctrl-C stops it.", err=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    server.shutdown()
    thread.join()


@click.group()
def job() -> None:
    """Look at one job."""


@job.command()
@click.argument("job_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(job_id: str, as_json: bool) -> None:
    """Show how and where a job is, when it was sent, claimed, started, ended; what it logged."""
    from config.masking import rules  # noqa: PLC0415 (see tasks/terminal.py)
    from tasks.pending import Pending  # noqa: PLC0415 (likewise)
    from tasks.scheduler import status_at  # noqa: PLC0415 (likewise)
    from tasks.timeline import timeline_of  # noqa: PLC0415 (likewise)

    with app_of_command() as app:
        state = status_at(app, job_id).state
        seen = None if state.is_final else Pending(app).locate(job_id)
        found = timeline_of(app, job_id)
    if found is None and seen is None and state is JobState.UNKNOWN:
        nothing(f"Nothing is known of a job {job_id}: it never was, or it is forgotten.")
    if as_json:
        where = seen and {"where": seen.where, **seen.job.as_json()}
        steps = found.as_json() if found else {"steps": [], "log": []}
        print_json({"state": str(state), "place": where, **rules().value(steps)})
        return
    click.echo(f"{state}{f', {_place(seen)}' if seen else ''}")
    for step in found.steps() if found else ():
        click.echo(rules().text(f"{step.at:%Y-%m-%d %H:%M:%S.%f}  {step.text}"))
    for line in found.lines if found else ():
        says = f"{line.at:%Y-%m-%d %H:%M:%S.%f}  [{line.level}] {line.text} [{line.logger}]"
        click.echo(rules().text(says))


def _place(seen: "Sighting") -> str:
    """Return where a job is, in words."""
    queue = plain(seen.job.queue)
    if seen.where == "held":
        return f"held by a worker, which has it from the queue {queue}"
    if seen.where == "delayed":
        return f"put aside until {seen.job.due:%Y-%m-%d %H:%M:%S} UTC, for the queue {queue}"
    return f"in the queue {queue}"


_LINE = "{:<32} {:<12} {:>9} {:>7} {:>10} {:>8}"


def as_facts(tally: "Tally") -> dict[str, Any]:
    """Return a tally as JSON has it; times in seconds, null for none."""
    names = ("claimed", "redelivered", "processed", "failed", "retried", "cancelled", "timed_out")
    times = {
        f"{kind}_{name}": None if value is None else round(value, 6)
        for kind, part in (("wait", tally.wait), ("run", tally.run))
        for name, value in (
            *(("mean", part.mean), ("p50", part.percentile(0.5))),
            ("p95", part.percentile(0.95)),
        )
    }
    return {**{name: getattr(tally, name) for name in names}, **times}


def seconds(value: float | None) -> str:
    """Return a time for people, such as `12 ms`; a dash for none."""
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:,.1f} s"
