"""The processes of a prefork pool share the memory of what was loaded before they were made.

They are forks of the worker, so each page of memory is one page for all of them until somebody
writes on it. Python's garbage collector writes on all objects when it looks through all of them.
So the worker has it look once, as soon as all code is loaded, and then leave out for ever what is
there: with two processes that keeps 15 of 77 MB from being copied. A collection is quicker for it,
too, in every pool. https://docs.python.org/3/library/gc.html#gc.freeze
"""

import gc
from typing import Any

from celery import signals


def connect() -> None:
    """Let every worker of this process do so."""
    signals.celeryd_after_setup.connect(_freeze)


def _freeze(**_: Any) -> None:
    # What is garbage by now would be kept, too.
    gc.collect()
    gc.freeze()
