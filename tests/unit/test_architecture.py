"""The rooms of the house: who may import whom, and who may read the environment."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import ROOT

MAY_IMPORT = {
    "config": {"config"},
    "tasks": {"tasks", "config"},
    "checkout_demo": {"checkout_demo", "tasks", "config"},
}
OURS = {*MAY_IMPORT, "tests", "benchmarks", "celeryconfig", "flowerconfig"}
MODULES = [path for room in MAY_IMPORT for path in sorted((ROOT / room).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def reads_the_environment(path: Path) -> bool:
    """Tell whether os.environ is looked into; handing it on to a child is no look."""
    source = path.read_text()
    return any(look in source for look in ("os.environ[", "os.environ.get", "os.getenv", "getenv("))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    others = {name.partition(".")[0] for name in imported(path)} & OURS
    assert others <= MAY_IMPORT[room]


def test_only_config_reads_the_environment() -> None:
    readers = [path for path in MODULES if reads_the_environment(path)]
    assert [path for path in readers if path.relative_to(ROOT).parts[0] != "config"] == []


def test_every_package_says_what_it_is() -> None:
    silent = [
        path
        for path in MODULES
        if path.read_text().strip() and ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert silent == []
