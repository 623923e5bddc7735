"""The options of `celery -A tasks failed`, shared by its commands."""

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., object])

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}


def seconds(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Read a time such as 90s, 15m, 2h, 7d or 4w."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no time; write 90s, 15m, 2h, 7d or 4w")
    return float(match[1]) * _UNITS[match[2]]


def json_object(_: click.Context, __: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """Read a JSON object."""
    if value is None:
        return None
    try:
        found = json.loads(value)
    except ValueError as error:
        raise click.BadParameter(f"this is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise click.BadParameter("write a JSON object, such as '{\"order\": 4}'")
    return found


def all_of(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return what adds several options to a command, in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

filters = all_of(
    click.option("--task", help="Of this task."),
    click.option("--queue", help="Of this queue."),
    click.option("--error", help="With this class of error, such as OrderRefused."),
    click.option("--older-than", callback=seconds, metavar="TIME", help="Such as 90s, 2h or 7d."),
    click.option("--newer-than", callback=seconds, metavar="TIME", help="Such as 90s, 2h or 7d."),
)

which = all_of(
    click.argument("job_ids", metavar="[JOB_ID]...", nargs=-1),
    filters,
    click.option("--all", "everything", is_flag=True, help="All failed jobs."),
    click.option("--limit", type=click.IntRange(1), help="At most so many, the oldest first."),
)

how = all_of(
    click.option("--dry-run", is_flag=True, help="Only show which jobs are meant."),
    click.option("--yes", "-y", is_flag=True, help="Do not ask."),
    as_json,
)
