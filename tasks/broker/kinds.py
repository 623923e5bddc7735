"""Kinds of messages: a task with the options that are part of it, such as queue and priority.

Calls with other options (`eta`, `link`, `chord`, ...) are of no kind, and made by Celery each time.
"""

from collections.abc import Mapping
from typing import Any

Kind = tuple[object, ...]

SHOWN = ("argsrepr", "kwargsrepr")
"""Texts of the arguments. Celery puts those that it is given into the properties as well."""

_PART_OF_KIND = ("queue", "priority", "serializer", "time_limit", "soft_time_limit")
_KNOWN = frozenset(["task_id", "task_type", "result_cls", "ignore_result", "headers", *SHOWN])
_SIMPLE = frozenset({str, int, float, bool, type(None)})


def kind_of(name: str, options: Mapping[str, Any]) -> Kind | None:
    """Return the kind of a message that Celery would make of these options; None: of no kind."""
    by_name = "task_type" not in options
    for option, value in options.items():
        if option not in _KNOWN and option not in _PART_OF_KIND:
            if value is not None:
                return None
        elif by_name and value is None:
            # Clears what the task says of itself.
            return None
    parts = [options.get(option) for option in _PART_OF_KIND]
    # To Python, 1 and True and 1.0 are the same; in a message they are not.
    types = [type(part) for part in parts]
    if not _SIMPLE.issuperset(types):
        return None
    task = options.get("task_type")
    shown = tuple(options.get(option) is not None for option in SHOWN)
    return (name, task, by_name, options.get("ignore_result"), *shown, *parts, *types)
