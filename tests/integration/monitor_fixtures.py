"""Flowers for the tests of the extra pages: one that is open to this machine, one with logins."""

from collections.abc import Iterator

import pytest

from tests.support.flower import LOGINS, OPERATOR, READER, Caller, Flower
from tests.support.valkey import Valkey


@pytest.fixture(scope="session")
def open_flower(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flower]:
    """A Flower without a login, which only this machine reaches."""
    with Flower(tmp_path_factory.mktemp("flower") / "flower.log", valkey) as flower:
        yield flower.wait_until_open()


@pytest.fixture(scope="session")
def login_flower(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flower]:
    """A Flower with an operator and a reader."""
    log = tmp_path_factory.mktemp("flower-login") / "flower.log"
    with Flower(log, valkey, env=LOGINS) as flower:
        yield flower.wait_until_open()


@pytest.fixture
def anybody(open_flower: Flower) -> Iterator[Caller]:
    """Somebody on this machine."""
    with open_flower.visitor() as caller:
        yield caller


@pytest.fixture
def operator(login_flower: Flower) -> Iterator[Caller]:
    """Somebody who may change things."""
    with login_flower.visitor(OPERATOR) as caller:
        yield caller


@pytest.fixture
def reader(login_flower: Flower) -> Iterator[Caller]:
    """Somebody who may only look."""
    with login_flower.visitor(READER) as caller:
        yield caller


@pytest.fixture
def stranger(login_flower: Flower) -> Iterator[Caller]:
    """Somebody who is not known."""
    with login_flower.visitor() as caller:
        yield caller
