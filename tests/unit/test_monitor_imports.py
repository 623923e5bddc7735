"""A worker loads nothing of Flower's extra pages."""

import os
import subprocess
import sys

_LOADED = """
import sys
import tasks.celery, tasks.worker, tasks.results, tasks.cli, tasks.cli_health, tasks.liveness
import tasks.cli_queue, tasks.cli_quarantine, tasks.cli_schedule, tasks.cli_outbox
tasks.celery.app.loader.import_default_modules()
print(*sorted(name for name in sys.modules if name.startswith(("tasks.monitor", "flower"))))
print("tasks.worker" in sys.modules)
"""


def test_a_worker_loads_none_of_the_pages() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["", "True"]
