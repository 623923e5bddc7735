"""`celery -A tasks ready`: a readiness probe.

Its exit codes, and what it may import: see tasks/terminal.py. It ends with 1 when no worker
consumes as asked.
"""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from tasks.terminal import NOTHING, exit_codes

if TYPE_CHECKING:
    from tasks.liveness import ConsumingWorker


@click.command()
@click.option("--worker", help="This one, such as worker@host; any by default.")
@click.option("--queue", help="Consuming this queue; any by default.")
@click.option("--json", "as_json", is_flag=True, help="Print all workers as JSON.")
def ready(worker: str | None, queue: str | None, as_json: bool) -> None:
    """Tell whether a worker consumes: for a readiness probe. A ping tells less."""
    from tasks import liveness  # noqa: PLC0415 (see tasks/terminal.py)

    with exit_codes():
        found = liveness.workers()
        is_ready = liveness.is_ready(worker, queue)
    if as_json:
        click.echo(json.dumps([_worker_as_json(one) for one in found]))
    else:
        for one in found:
            says = "consumes" if one.is_consuming else "does NOT consume"
            says = "is LOST, and consumed" if one.is_lost else says
            click.echo(
                f"{one.name} {says} {', '.join(one.queues)}: holds {one.held} jobs, "
                f"looked {one.silent:.0f} s ago"
            )
        if not is_ready:
            click.echo("No worker consumes as asked.", err=True)
    raise SystemExit(0 if is_ready else NOTHING)


def _worker_as_json(worker: "ConsumingWorker") -> dict[str, Any]:
    return {**asdict(worker), "consuming": worker.is_consuming, "state": worker.state}
