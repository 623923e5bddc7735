"""What the commands of `celery -A tasks ...` have in common.

Exit codes: 0 when it is done; 1 when there was nothing to do (there is none of this name, it is
gone by now, you said no); 2 when the command was not understood; 69 when the broker did not answer
(EX_UNAVAILABLE of sysexits.h, which Celery's own commands use).

Every `celery` command loads these modules, a worker's too. So what they need beyond what is loaded
anyway is imported when a command runs, and the app not at all: `-A` names it.
"""

import getpass
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import click

from tasks.errors import ExpresslaneError, Unreachable

if TYPE_CHECKING:
    from celery import Celery

NOTHING = 1
UNAVAILABLE = 69

UNLIMITED = 200
"""Columns of a line that goes to a file or another program."""

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

CHANGING = frozenset(
    {
        *("retry", "discard", "clear", "put-back"),
        *("edit", "move", "front", "remove", "run-now", "cancel"),
        *("pause", "resume", "run"),
        *("publish-again", "prune"),
    }
)
"""Commands that change jobs, queues or the schedule: `tasks.audit` keeps who gave them."""

DONE = "expresslane.done"
"""Where a command notes how many it has handled."""

_NOT_NOTED = {"data", "dry_run", "yes", "as_json"}
"""What the audit leaves out of a command's options: data may be meant for nobody."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class How:
    """How the user wants it done."""

    dry_run: bool
    yes: bool
    as_json: bool


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what goes wrong into exit codes, with a sentence."""
    try:
        yield
    except Unreachable as error:
        click.echo(str(error), err=True)
        raise SystemExit(UNAVAILABLE) from error
    except ExpresslaneError as error:
        if isinstance(error, ValueError):
            raise click.UsageError(str(error)) from error
        click.echo(str(error), err=True)
        raise SystemExit(NOTHING) from error


@contextmanager
def app_of_command() -> "Iterator[Celery]":
    """Yield the app that `-A` names, with `exit_codes`."""
    from tasks.broker.access import check_transport  # noqa: PLC0415 (see the module's docstring)

    app = click.get_current_context().obj.app
    try:
        check_transport(app)
    except TypeError as error:
        raise click.UsageError(f"{error}; is `-A tasks` missing?") from error
    with exit_codes(), noted(app):
        yield app


@contextmanager
def noted(app: "Celery") -> Iterator[None]:
    """Write down who has changed how much, if the command that runs changes anything."""
    context = click.get_current_context()
    try:
        yield
    except BaseException:
        # Interrupted half way, or done for some of them only.
        if context.meta.get(DONE):
            _note(app, context)
        raise
    if context.command.name in CHANGING and not context.params.get("dry_run"):
        _note(app, context)


def _note(app: "Celery", context: click.Context) -> None:
    from tasks import audit  # noqa: PLC0415 (see the module's docstring)

    given = {name: value for name, value in context.params.items() if name not in _NOT_NOTED}
    which = ", ".join(
        f"{name} {' '.join(value) if isinstance(value, tuple) else value}"
        for name, value in given.items()
        if value not in (None, (), False)
    )
    what = f"celery {_path(context)}"
    count = int(context.meta.get(DONE, 1))
    audit.record(app, who=f"{_user()}, in a terminal", what=what, which=which, count=count)


def _path(context: click.Context) -> str:
    """Return the command as one types it after `celery`, whatever started the program."""
    before = _path(context.parent) if context.parent and context.parent.parent else ""
    return f"{before} {context.info_name}".strip()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def with_progress(
    verb: str,
    total: int,
    how: How,
    run: Callable[[Callable[[int, int], object]], Result],
    noun: str = "job",
) -> Result:
    """Ask, if `how` does not say yes; then do it, with a bar for what takes long."""
    if not how.yes:
        click.confirm(f"{verb} {counted(total, noun)}?", abort=True, err=True)
    with click.progressbar(
        length=total, label=verb, file=sys.stderr, show_pos=True, hidden=how.as_json
    ) as bar:

        def progress(done: int, _: int) -> None:
            click.get_current_context().meta[DONE] = done
            bar.update(done - bar.pos)

        return run(progress)


def report(verb: str, past: str, how: How, done: int, gone: int, noun: str = "job") -> None:
    """Say what came of it."""
    click.get_current_context().meta[DONE] = 0 if how.dry_run else done
    if how.as_json:
        print_json({"action": verb, "dry_run": how.dry_run, "done": done, "gone": gone})
        return
    says = f"would {verb}" if how.dry_run else past
    missing = f"; {counted(gone, noun)} not there (any more)" if gone else ""
    click.echo(f"{says} {counted(done, noun)}{missing}")


def nothing(reason: str) -> None:
    """End the program because there is nothing to do."""
    click.echo(reason, err=True)
    raise SystemExit(NOTHING)


def print_json(value: object) -> None:
    """Print it, for another program to read."""
    click.echo(json.dumps(value, default=str, indent=2))


def switched(as_json: bool, says: str, **facts: object) -> None:
    """Say what has become of the one thing that a command has changed."""
    if as_json:
        print_json(facts)
    else:
        click.echo(says)


def counted(number: int, noun: str) -> str:
    """Return such as `1 job` or `12 jobs`."""
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"


def paged(number: int, total: int, next_cursor: str | None) -> str:
    """Return how many of how many a page shows, and what leads to the next one."""
    more = f"; the next page: --cursor {next_cursor}" if next_cursor else ""
    return f"{number} of {total}{more}"


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows one below the other, the first of them the headings."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED
    return "\n".join(_line(row, widths)[: max(width, 40)].rstrip() for row in rows)


def plain(text: str) -> str:
    """Return it on one line, with nothing in it that a terminal would obey."""
    spaced = text.replace("\n", " ").replace("\t", " ")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", spaced)


def ago(seconds: float) -> str:
    """Return how long ago something was, such as `3h ago`."""
    return f"{span(seconds)} ago" if seconds >= 1 else "just now"


def span(seconds: float) -> str:
    """Return a time in its largest whole unit, such as `3h`."""
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    *first, last = row
    padded = [part.ljust(width) for part, width in zip(first, widths, strict=True)]
    return "  ".join([*padded, last])
