"""Fixtures of the benchmarks' tests."""

import pytest

from tests.support.programs import free_port


@pytest.fixture
def unused_port() -> int:
    return free_port()
