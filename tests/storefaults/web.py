"""The store's web server, which can be told to die between an order's commit and its publish.

    STORE_ARM=... python -m tests.storefaults.web

The file that `STORE_ARM` names has the next process that comes to such a moment kill itself. It
holds which one: `committed`, in the request, before its answer; `answered`, a moment later, when
the answer is on its way. The program forks a server, and another one when that is killed.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from checkout_demo import app
from tasks.app import App
from tasks.outbox import publisher
from tasks.outbox.publishing import publish
from tasks.outbox.rows import Outgoing
from tests.storefaults import old_way

ARM = Path(os.environ.get("STORE_ARM", "/nowhere"))

ANSWER_SECONDS = 0.05
"""How long an answer may take from the commit to the customer."""


def die_if_armed(moment: str) -> None:
    """Kill this process if it was told to die at this moment."""
    with suppress(FileNotFoundError):
        if ARM.read_text() != moment:
            return
        # Who removes it is the one that dies.
        ARM.unlink()
        if moment == "answered":
            time.sleep(ANSWER_SECONDS)  # the moment is in this wait
        os.kill(os.getpid(), signal.SIGKILL)


def _publish(app: App, outgoing: Sequence[Outgoing]) -> Sequence[Outgoing]:
    die_if_armed("answered")
    return publish(app, outgoing)


class _Publisher(publisher.Publisher):
    def publish(self, committed: Sequence[Outgoing]) -> None:
        if committed:
            die_if_armed("committed")
        super().publish(committed)


def serve() -> None:
    """Serve the store until killed."""
    vars(publisher)["publish"] = _publish
    publisher.publisher.__class__ = _Publisher
    if os.environ.get("STORE_WAY") == "delay":
        old_way.take(die_if_armed)
    app.main()


def main() -> int:
    """Fork a server; fork another one when it is killed."""
    while True:
        server = os.fork()
        if not server:
            serve()
            os._exit(0)

        def end(*_: Any, server: int = server) -> None:
            with suppress(ProcessLookupError):
                os.kill(server, signal.SIGKILL)
            os._exit(0)

        signal.signal(signal.SIGTERM, end)
        _, status = os.waitpid(server, 0)
        if not os.WIFSIGNALED(status):
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
