"""`celery -A tasks quarantine ...`: messages that could not become jobs, in a terminal.

Its exit codes, and what it may import: see tasks/terminal.py.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from tasks.errors import NoSuchMessage
from tasks.failed import options
from tasks.terminal import (
    NOTHING,
    How,
    app_of_command,
    nothing,
    plain,
    print_json,
    report,
    with_progress,
)

if TYPE_CHECKING:
    from tasks.quarantine import Progress, Quarantine
    from tasks.queued.job import Outcome

NOUN = "message"

which = options.all_of(
    click.argument("message_ids", metavar="[MESSAGE_ID]...", nargs=-1),
    click.option("--all", "everything", is_flag=True, help="All that are here now."),
    options.how,
)


@click.group()
def quarantine() -> None:
    """Show messages that could not become jobs, put them back, throw them away."""


@quarantine.command("list")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@click.option("--before", metavar="MESSAGE_ID", help="The last id of the page before.")
@options.as_json
def list_(limit: int, before: str | None, as_json: bool) -> None:
    """List the messages, the newest first, with the reason for each."""
    with _quarantine() as kept:
        found, count, total = kept.newest(limit, before), kept.count(), kept.total()
    messages = [one.as_json() for one in found]
    if as_json:
        print_json({"kept": count, "ever": total, "messages": messages})
    if not found:
        nothing(f"nothing is in quarantine; {total} messages have ever been")
    if not as_json:
        click.echo(f"{count} messages are in quarantine; {total} have ever been.")
        for one, shown in zip(found, messages, strict=True):
            click.echo(
                plain(f"{one.id}  {one.at:%Y-%m-%d %H:%M:%S}  {one.queue}  {shown['reason']}")
            )


@quarantine.command()
@click.argument("message_id")
@click.option("--reveal", is_flag=True, help="Show what MASK hides, too, and the message's body.")
@options.as_json
def show(message_id: str, reveal: bool, as_json: bool) -> None:
    """Show one message; those of its bytes that are no text, by their numbers."""
    with _quarantine() as kept:
        found = kept.show(message_id).as_json(reveal=reveal)
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        click.echo(f"{name:9}{plain(str(value))}")


@quarantine.command("put-back")
@which
def put_back(**chosen: Any) -> None:
    """Put messages back into their queues."""
    with _quarantine() as kept:
        _act(kept, "put back", "put back", kept.put_back, kept.put_back_all, **chosen)


@quarantine.command()
@which
def discard(**chosen: Any) -> None:
    """Throw messages away."""
    with _quarantine() as kept:
        _act(kept, "discard", "discarded", kept.discard, kept.discard_all, **chosen)


def _act(
    kept: "Quarantine",
    verb: str,
    past: str,
    one: Callable[[str], object],
    every: "Callable[[Progress], Outcome]",
    *,
    message_ids: tuple[str, ...],
    everything: bool,
    **chosen: bool,
) -> None:
    how = How(**chosen)
    if bool(message_ids) == everything:
        raise click.UsageError("say which messages: MESSAGE_ID ..., or --all")
    if everything:
        total = kept.count()
        if not total:
            nothing("nothing is in quarantine")
        if how.dry_run:
            report(verb, past, how, total, 0, NOUN)
            return
        outcome = with_progress(verb, total, how, every, NOUN)
        report(verb, past, how, outcome.done, outcome.gone, NOUN)
        return
    gone = 0
    for message_id in message_ids:
        try:
            (kept.show if how.dry_run else one)(message_id)
        except NoSuchMessage as error:
            gone += 1
            click.echo(str(error), err=True)
    report(verb, past, how, len(message_ids) - gone, gone, NOUN)
    if gone:
        raise SystemExit(NOTHING)


@contextmanager
def _quarantine() -> "Iterator[Quarantine]":
    """Yield the quarantine of the app that `-A` names."""
    from tasks.quarantine import Quarantine  # noqa: PLC0415 (see tasks/terminal.py)

    with app_of_command() as app:
        yield Quarantine(app)
