"""`ready` and `quarantine` in a terminal."""

import json

import pytest
from click.testing import CliRunner

from tasks.cli_health import quarantine, ready
from tests.support.programs import Program
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

GARBAGE = b"\xfe garbage"


def run(command: object, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, arguments)  # type: ignore[arg-type] # a click command
    return result.exit_code, result.output


@pytest.mark.usefixtures("worker")
def test_ready_says_so_by_its_exit_code() -> None:
    assert wait_for(lambda: run(ready, "--queue", "default")[0] == 0, "a ready worker")
    code, output = run(ready, "--queue", "default", "--json")
    assert code == 0
    assert any(found["consuming"] for found in json.loads(output))
    assert run(ready, "--queue", "nobody-consumes-this")[0] == 1
    assert run(ready, "--worker", "nobody@nowhere")[0] == 1


def test_what_is_in_quarantine_can_be_listed_shown_put_back_and_discarded(
    valkey: Valkey, worker: Program
) -> None:
    valkey.client.delete("quarantine", "quarantine.count")
    valkey.client.lpush("default", GARBAGE)
    wait_for(lambda: GARBAGE.decode(errors="backslashreplace") in shown(), "the garbage listed")
    (found,) = json.loads(run(quarantine, "list", "--json")[1])
    assert "JSONDecodeError" in run(quarantine, "list")[1]
    assert repr(GARBAGE) in run(quarantine, "show", found["id"])[1]
    assert run(quarantine, "put-back", found["id"])[0] == 0
    assert run(quarantine, "put-back", found["id"])[0] == 1
    wait_for(lambda: "garbage" in shown(), "the garbage to be back")
    (again,) = json.loads(run(quarantine, "list", "--json")[1])
    assert run(quarantine, "discard", again["id"])[0] == 0
    assert run(quarantine, "show", again["id"])[0] == 1
    worker.check_alive()


def shown() -> str:
    return "".join(one["message"] for one in json.loads(run(quarantine, "list", "--json")[1]))
