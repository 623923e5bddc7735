"""A program that is missing skips a test here and fails it where everything has to be there."""

import sys
from pathlib import Path

import pytest

from tests.support.requirements import require_programs

MISSING = "a-program-that-nobody-has"


def test_programs_that_are_there_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    python = Path(sys.executable)
    monkeypatch.setenv("PATH", str(python.parent))
    assert require_programs(python.name, package="python3") == [str(python)]


@pytest.mark.parametrize("require_all", ["", "0"])
def test_a_missing_program_skips_the_test_and_says_what_to_install(
    require_all: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUIRE_ALL", require_all)
    with pytest.raises(pytest.skip.Exception, match=f"{MISSING}: apt install a-package"):
        require_programs("sh", MISSING, package="a-package")


def test_a_missing_program_fails_the_test_where_all_is_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match=f"{MISSING}: apt install a-package"):
        require_programs(MISSING, package="a-package")
