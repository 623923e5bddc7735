"""`python -m tasks worker -Q default` is `celery -A tasks worker -Q default`, and lighter.

Celery's command loads the plugin of every installed package before it looks at what it is asked
for. Flower's brings Tornado and a metrics library into each worker: about 20 MB, and up to a second
of its start. Here only the plugin is loaded whose command is given, so `python -m tasks flower` is
Flower as ever. What else a worker has no use for: tasks/lean.py. Another app: `-A name` in front.
"""

import importlib
import importlib.metadata
import sys
from collections.abc import Sequence
from typing import Any

from tasks import lean

_GROUP = "celery.commands"
_LASTING = {"worker", "beat", "relay"}
"""Commands that run for days, and so had better be small."""
_PATCHING = ("gevent", "eventlet")
"""Pools for which Celery changes the standard library before anything else is loaded."""


def main(arguments: Sequence[str]) -> None:
    """Run Celery's command with these arguments, for this app."""
    every = importlib.metadata.entry_points
    # Celery and kombu ask several times, and each time all packages' files would be read.
    listed = every()
    has_command = any(not argument.startswith("-") for argument in arguments)

    def wanted(**selection: Any) -> Any:  # noqa: ANN401 (the standard library's)
        found: Any = listed.select(**selection)
        if selection.get("group") != _GROUP:
            return found
        named = [plugin for plugin in found if plugin.name in arguments]
        # Without a command there is help to be shown, with all of them in it.
        return named if has_command else found

    importlib.metadata.entry_points = wanted
    try:
        patches = any(pool in argument for argument in arguments for pool in _PATCHING)
        if _LASTING.intersection(arguments) and not patches:
            lean.load()
        # Celery asks for its plugins when this module is imported.
        importlib.import_module("celery.bin.celery")
    finally:
        importlib.metadata.entry_points = every
    sys.argv = ["celery", "-A", "tasks", *arguments]
    # It comes after the change above: its own package asks for nothing.
    importlib.import_module("celery.__main__").main()


if __name__ == "__main__":
    main(sys.argv[1:])
