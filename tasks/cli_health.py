"""`celery -A tasks ready` and `celery -A tasks quarantine ...`.

Their exit codes, and what they may import: see tasks/terminal.py. `ready` ends with 1 when no
worker consumes as asked.
"""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from tasks.terminal import NOTHING, exit_codes, noted

if TYPE_CHECKING:
    from tasks.liveness import ConsumingWorker
    from tasks.quarantine import Quarantined


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


@click.group()
def quarantine() -> None:
    """Show messages that could not become jobs, put them back, throw them away."""


@quarantine.command("list")
@click.option("--limit", default=50, show_default=True, help="So many, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(limit: int, as_json: bool) -> None:
    """List the messages, with the reason for each."""
    from tasks.quarantine import count, newest, total  # noqa: PLC0415 (see tasks/terminal.py)

    with exit_codes():
        found, kept, ever = newest(limit), count(), total()
    if as_json:
        click.echo(json.dumps([_as_json(one) for one in found]))
        return
    click.echo(f"{kept} messages are in quarantine; {ever} have ever been.")
    for one in found:
        click.echo(f"{one.id}  {one.at:%Y-%m-%d %H:%M:%S}  {one.queue}  {one.reason}")


@quarantine.command()
@click.argument("message_id")
def show(message_id: str) -> None:
    """Show one message, its bytes escaped."""
    from tasks import quarantine as kept  # noqa: PLC0415 (see tasks/terminal.py)

    with exit_codes():
        found = kept.show(message_id)
    click.echo(f"queue   {found.queue}\nreason  {found.reason}\nat      {found.at.isoformat()}")
    click.echo(f"bytes   {found.message!r}")


@quarantine.command("put-back")
@click.argument("message_id")
def put_back(message_id: str) -> None:
    """Put one message back into its queue."""
    from tasks import quarantine as kept  # noqa: PLC0415 (see tasks/terminal.py)
    from tasks.celery import app  # noqa: PLC0415 (likewise)

    with exit_codes(), noted(app):
        found = kept.put_back(message_id)
    click.echo(f"Put {message_id} back into {found.queue}.")


@quarantine.command()
@click.argument("message_id")
def discard(message_id: str) -> None:
    """Throw one message away."""
    from tasks import quarantine as kept  # noqa: PLC0415 (see tasks/terminal.py)
    from tasks.celery import app  # noqa: PLC0415 (likewise)

    with exit_codes(), noted(app):
        kept.discard(message_id)
    click.echo(f"Discarded {message_id}.")


def _as_json(found: "Quarantined") -> dict[str, Any]:
    text = found.message.decode(errors="backslashreplace")
    return {**asdict(found), "at": found.at.isoformat(), "message": text}
