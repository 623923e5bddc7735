"""Celery's command without the plugins of other packages: `python -m benchmarks.peers.launch ...`.

Flower's plugin costs each worker memory and a second of its start, whoever starts it. As
`python -m tasks` leaves it out, it is left out here for Celery's own workers, so that what is
compared is the worker.
"""

import importlib
import importlib.metadata
from typing import Any


def main() -> None:
    """Run it."""
    every = importlib.metadata.entry_points

    def wanted(**selection: Any) -> Any:  # noqa: ANN401 (the standard library's)
        return () if selection.get("group") == "celery.commands" else every(**selection)

    importlib.metadata.entry_points = wanted
    importlib.import_module("celery.__main__").main()


if __name__ == "__main__":
    main()
