"""What the tests of the short way have in common."""

from collections.abc import Iterator

import pytest

from tests.support.two_ways import forget
from tests.support.valkey import Valkey


@pytest.fixture(scope="module")
def server(valkey: Valkey) -> Iterator[Valkey]:
    """The common server, without what others of these tests have left there."""
    forget(valkey)
    yield valkey
    forget(valkey)
