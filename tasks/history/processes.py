"""How many processes of a prefork pool end, and why."""

from typing import Any

from billiard.pool import EX_OK, EX_RECYCLE
from celery.concurrency.base import BasePool
from celery.concurrency.prefork import TaskPool

from tasks.history.recorder import recorder


def count_ends(pool: BasePool) -> None:
    """Count the processes of this pool that end from now on, until it watches its loop anew."""
    if not isinstance(pool, TaskPool):
        return
    processes: Any = vars(pool)["_pool"]  # Celery's own commands look there, too.
    tell = processes.on_process_down

    def on_process_down(process: Any) -> None:  # noqa: ANN401 (billiard's)
        if process.exitcode == EX_RECYCLE:
            recorder.count("processes_recycled")
        elif process.exitcode != EX_OK:
            recorder.count("processes_lost")
        if tell is not None:
            tell(process)

    processes.on_process_down = on_process_down
