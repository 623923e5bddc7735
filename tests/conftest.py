"""What every test may ask for. Nothing here leaves the loopback interface."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.valkey import Valkey


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """One real Valkey server for the whole run."""
    with Valkey(Path(tmp_path_factory.mktemp("valkey"))) as server:
        yield server
