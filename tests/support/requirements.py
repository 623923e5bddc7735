"""Software that only some tests need, and what becomes of a test when it is not there."""

import os
import shutil

import pytest


def require_programs(*names: str, package: str) -> list[str]:
    """Return the paths of these programs; without them, skip the test, or fail it.

    `package` is what to install on Debian. Where `REQUIRE_ALL` is "1", nothing may be skipped.
    """
    found = {name: shutil.which(name) for name in names}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        _give_up(f"needs {' and '.join(missing)}: apt install {package}")
    return [path for path in found.values() if path is not None]


def _give_up(reason: str) -> None:
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
