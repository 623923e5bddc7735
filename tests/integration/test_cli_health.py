"""`ready` and `quarantine` in a terminal."""

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import click
import pytest
from celery.bin.base import CLIContext
from click.testing import CliRunner

from tasks import audit
from tasks.celery import app
from tasks.cli_health import ready
from tasks.cli_quarantine import quarantine
from tests.support.failed import an_app
from tests.support.programs import Program, free_port
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

GARBAGE = b"\xfe garbage"
QUEUE = "nobody-works-on-this-garbage"


@pytest.fixture
def kept(valkey: Valkey) -> Iterator[Valkey]:
    """A server whose quarantine is empty before and after."""
    names = ("quarantine", "quarantine.count", QUEUE, f"{QUEUE}.bell", audit.KEY)
    valkey.client.delete(*names)
    yield valkey
    valkey.client.delete(*names)


def run(command: click.Command, *arguments: str, typed: str = "") -> tuple[int, str]:
    context = CLIContext(app=app, no_color=True, workdir=None)
    result = CliRunner().invoke(command, arguments, obj=context, input=typed)
    return result.exit_code, result.stdout


def listed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(quarantine, "list", "--json")[1])["messages"]
    return found


def put(valkey: Valkey, message: bytes = GARBAGE) -> str:
    """Quarantine a message as the transport does, and return its id."""
    about = {"queue": QUEUE, "reason": "JSONDecodeError: ada@example.com", "at": time.time()}
    found = valkey.client.xadd("quarantine", {"about": json.dumps(about), "message": message})
    assert isinstance(found, bytes)
    return found.decode()


@pytest.mark.usefixtures("worker")
def test_ready_says_so_by_its_exit_code() -> None:
    assert wait_for(lambda: run(ready, "--queue", "default")[0] == 0, "a ready worker")
    code, output = run(ready, "--queue", "default", "--json")
    assert code == 0
    assert any(found["consuming"] for found in json.loads(output))
    assert run(ready, "--queue", "nobody-consumes-this")[0] == 1
    assert run(ready, "--worker", "nobody@nowhere")[0] == 1


def test_what_is_in_quarantine_can_be_listed_shown_put_back_and_discarded(
    kept: Valkey, worker: Program
) -> None:
    kept.client.lpush("default", GARBAGE)
    wait_for(listed, "the garbage listed")
    (found,) = listed()
    assert found["message"] == r"\xfe garbage"
    assert "JSONDecodeError" in run(quarantine, "list")[1]
    assert r"message  \xfe garbage" in run(quarantine, "show", found["id"])[1]
    assert run(quarantine, "put-back", found["id"]) == (0, "put back 1 message\n")
    assert run(quarantine, "put-back", found["id"])[0] == 1
    wait_for(listed, "the garbage to be back")
    (again,) = listed()
    assert run(quarantine, "discard", again["id"]) == (0, "discarded 1 message\n")
    assert run(quarantine, "show", again["id"])[0] == 1
    assert run(quarantine, "list")[0] == 1
    worker.check_alive()


def test_what_must_be_hidden_in_a_message_is_until_it_is_asked_for(kept: Valkey) -> None:
    body = b64encode(b'[[], {"note": "geheim"}, {}]').decode()
    secrets = ("pa55", "4111", "ada@", body, "geheim")
    message_id = put(
        kept,
        b'{"body": "%s", "password": "pa55", "kwargsrepr": "{\'card\': \'4111\'}"' % body.encode(),
    )
    for command in (
        ("list",),
        ("list", "--json"),
        ("show", message_id),
        ("show", message_id, "--json"),
    ):
        code, shown = run(quarantine, *command)
        assert code == 0
        assert [one for one in secrets if one in shown] == []
    revealed = run(quarantine, "show", message_id, "--reveal")[1]
    assert [one for one in secrets[:-1] if one not in revealed] == []


def test_all_are_put_back_or_discarded_after_a_question_and_a_dry_run_changes_nothing(
    kept: Valkey,
) -> None:
    ids = [put(kept, b"%d" % number) for number in range(250)]
    assert run(quarantine, "discard", "--all", "--dry-run") == (0, "would discard 250 messages\n")
    assert run(quarantine, "discard", "--all", typed="n\n")[0] == 1
    assert run(quarantine, "discard", ids[0], "--dry-run") == (0, "would discard 1 message\n")
    assert kept.client.xlen("quarantine") == 250
    assert run(quarantine, "put-back", *ids[:10], "--json") == (
        0,
        '{\n  "action": "put back",\n  "dry_run": false,\n  "done": 10,\n  "gone": 0\n}\n',
    )
    assert run(quarantine, "put-back", "--all", "--yes") == (0, "put back 240 messages\n")
    assert kept.client.lrange(QUEUE, 0, -1) == [b"%d" % number for number in reversed(range(250))]
    put(kept)
    assert run(quarantine, "discard", "--all", "--yes") == (0, "discarded 1 message\n")
    assert run(quarantine, "discard", "--all", "--yes")[0] == 1
    noted = [(line.what.split()[-1], line.count) for line in audit.newest(app)]
    assert noted == [("discard", 1), ("put-back", 240), ("put-back", 10)]


def test_the_quarantine_is_listed_in_pages(kept: Valkey) -> None:
    ids = [put(kept) for _ in range(3)]
    first = json.loads(run(quarantine, "list", "--limit", "2", "--json")[1])
    assert first["kept"] == 3
    assert [one["id"] for one in first["messages"]] == [ids[2], ids[1]]
    assert ids[0] in run(quarantine, "list", "--before", ids[1])[1]


def test_what_cannot_be_done_tells_by_the_exit_code() -> None:
    assert run(quarantine, "discard")[0] == 2
    assert run(quarantine, "discard", "1-0", "--all")[0] == 2
    away = an_app(f"redis://:s3cret@127.0.0.1:{free_port()}/0")
    context = CLIContext(app=away, no_color=True, workdir=None)
    result = CliRunner().invoke(quarantine, ["list"], obj=context)
    assert result.exit_code == 69
    assert "s3cret" not in result.output
