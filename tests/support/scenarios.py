"""Jobs that are sent to two workers each: see `tests/support/two_ways.py`."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import Task, chain, chord, group

from config import bound as log_fields
from tasks import scheduler
from tasks.celery import app
from tests.support import plain_jobs as jobs
from tests.support.plain_outcomes import ERRORS, VALUES
from tests.support.two_ways import id_of, queue_of
from tests.support.valkey import Valkey

PAST = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Sender:
    """Sends the jobs of one scenario to one of the two workers."""

    way: str
    pool: str
    name: str
    server: Valkey

    @property
    def queue(self) -> str:
        """Where to."""
        return queue_of(self.way, self.pool)

    def id(self, part: str = "") -> str:
        """Return the id of the scenario's job, or of another one of it."""
        return id_of(self.way, self.pool, self.name) + part

    def send(self, task: "Task[..., Any]", *args: object, **options: Any) -> None:
        """Send the scenario's job."""
        options = {"queue": self.queue, "task_id": self.id(), **options}
        task.apply_async(args, **options)

    def signature(self, task: "Task[..., Any]", part: str, *args: object, **options: Any) -> Any:  # noqa: ANN401 (Celery's)
        """Return a signature of another job of the scenario."""
        return task.s(*args).set(queue=self.queue, task_id=self.id(part), **options)

    def push(
        self,
        headers: Mapping[str, object] | None = None,
        *,
        task: "Task[..., Any]" = jobs.see,
        body: object = None,
        without: tuple[str, ...] = (),
        properties: Mapping[str, object] | None = None,
    ) -> None:
        """Push a message that is not quite as Celery makes it."""
        client, mould = self.server.client, f"mould-{self.queue}"
        app.send_task(task.name, task_id=self.id(), queue=mould)
        message = client.lpop(mould)
        assert isinstance(message, bytes)
        envelope = json.loads(message.replace(mould.encode(), self.queue.encode()))
        envelope["headers"].update(headers or {})
        envelope["properties"].update(properties or {})
        for name in without:
            envelope["headers"].pop(name, None)
        if body is not None:
            envelope["body"] = base64.b64encode(json.dumps(body).encode()).decode()
        client.lpush(self.queue, json.dumps(envelope))
        client.lpush(f"{self.queue}.bell", 1)


@dataclass(frozen=True)
class Scenario:
    """What is sent, which jobs come of it, and by which way the first of them must be run."""

    send: Callable[[Sender], object]
    ways: tuple[str, ...] | None = ("short",)
    """That of each run of the first job; None: whatever Celery's way makes of it is right."""
    parts: tuple[str, ...] = ("",)


def plain(task: "Task[..., Any]", *args: object, **options: Any) -> Callable[[Sender], object]:
    """Return what sends one job."""
    return lambda sender: sender.send(task, *args, **options)


def bound(request_id: str, send: Callable[[Sender], object]) -> Callable[[Sender], object]:
    """Return what sends within a request."""

    def sends(sender: Sender) -> None:
        tokens = log_fields.bind({"request_id": request_id})
        try:
            send(sender)
        finally:
            log_fields.unbind(tokens)

    return sends


def _chain(sender: Sender) -> None:
    chain(
        sender.signature(jobs.see, "", 1),
        sender.signature(jobs.see, "-2"),
        sender.signature(jobs.see, "-3"),
    ).apply_async()


def _group(sender: Sender) -> None:
    group(sender.signature(jobs.see, part, 1) for part in ("", "-2")).apply_async(
        task_id=sender.id("-group")
    )


def _chord(task: "Task[..., Any]", how: str) -> Callable[[Sender], object]:
    # Of one part: of several, any may be the last, which is the parent of the body.
    def send(sender: Sender) -> None:
        body = sender.signature(jobs.see, "-body")
        chord([sender.signature(task, "", how)], body).apply_async(task_id=sender.id("-chord"))

    return send


def _cancelled_before(sender: Sender) -> None:
    sender.send(jobs.see)
    scheduler.cancel(sender.id())


def _cancelled_before_ignored(sender: Sender) -> None:
    sender.send(jobs.ignoring)
    scheduler.cancel(sender.id())


RETURNS = {f"give {what}": Scenario(plain(jobs.give, what)) for what in VALUES}

_AGAIN = ("short", "celery")
"""By which ways a job is run that a worker has put back as one that was hurt by it."""

FAILS = {f"fail {how}": Scenario(plain(jobs.fail, how)) for how in ERRORS} | {
    "once reject": Scenario(plain(jobs.fail_once, "reject"), ("short", "short")),
    "once memory": Scenario(plain(jobs.fail_once, "memory"), _AGAIN),
    "retry automatic": Scenario(plain(jobs.pass_after, 2), ("short",) * 3),
    "retry exhausted": Scenario(plain(jobs.pass_after, 9), ("short",) * 3),
    "ask again": Scenario(plain(jobs.ask_again, 1, False), None),
    "ask too often": Scenario(plain(jobs.ask_again, 2, False), None),
    "ask again with error": Scenario(plain(jobs.ask_again, 2, True), None),
    "give up": Scenario(plain(jobs.give_up, "ü"), None),
    "send on, return": Scenario(plain(jobs.send_on, "return"), parts=("", "-child-0")),
    "send on, fail": Scenario(plain(jobs.send_on, "fail"), parts=("", "-child-0")),
    "send on, retry": Scenario(plain(jobs.send_on, "retry"), None, ("", "-child-0", "-child-1")),
    "tell, value": Scenario(plain(jobs.tell, "value")),
    "tell, nothing": Scenario(plain(jobs.tell, "nothing")),
    "tell, fail": Scenario(plain(jobs.tell, "fail")),
    "limited": Scenario(plain(jobs.limited)),
}

OPTIONS = {
    "see": Scenario(plain(jobs.see)),
    "see arguments": Scenario(plain(jobs.see, 1, [2], kwargs={"a": {"b": "ü"}})),
    "see request id": Scenario(bound("click-4711", plain(jobs.see))),
    "send request id on": Scenario(
        bound("click-4712", plain(jobs.send_on, "return")), parts=("", "-child-0")
    ),
    "headers": Scenario(plain(jobs.see, headers={"tenant": "a", "n": [1]})),
    "priority": Scenario(plain(jobs.see, priority=3)),
    "no expiry": Scenario(plain(jobs.see, expires=None)),
    "argsrepr": Scenario(plain(jobs.see, argsrepr="(hidden)", kwargsrepr="{...}")),
    "reply": Scenario(plain(jobs.see, reply_to="somebody", correlation_id="x")),
    "root": Scenario(plain(jobs.see, root_id="a-root")),
    "parent": Scenario(plain(jobs.see, root_id="a-root", parent_id="a-parent")),
    "retries": Scenario(plain(jobs.see, retries=4)),
    "time limits": Scenario(plain(jobs.see, time_limit=60, soft_time_limit=30)),
    "ignore": Scenario(plain(jobs.see, ignore_result=True)),
    "ignore not": Scenario(plain(jobs.ignoring, ignore_result=False)),
    "ignoring": Scenario(plain(jobs.ignoring)),
    "ignoring, fail": Scenario(plain(jobs.ignoring, True)),
    "untracked": Scenario(plain(jobs.untracked)),
    "untracked, fail": Scenario(plain(jobs.untracked, True)),
    "untracked ignored": Scenario(plain(jobs.untracked, ignore_result=True)),
    "shadow": Scenario(plain(jobs.see, shadow="another name"), ("celery",)),
    "stamped": Scenario(plain(jobs.see, stamped_headers=["st"], st="amp"), ("celery",)),
    "eta past": Scenario(plain(jobs.see, eta=PAST), ("celery",)),
    "countdown": Scenario(plain(jobs.see, countdown=1), ("celery",)),
    "countdown 0": Scenario(plain(jobs.see, countdown=0), None),
    "expired": Scenario(plain(jobs.see, expires=PAST), ()),
    "expires": Scenario(
        plain(jobs.see, expires=datetime.now(UTC) + timedelta(days=1)), ("celery",)
    ),
    "compressed": Scenario(plain(jobs.see, compression="gzip"), ("celery",)),
    "hooked": Scenario(plain(jobs.hooked, False), ("celery",)),
    "hooked, fail": Scenario(plain(jobs.hooked, True), ("celery",)),
    "early": Scenario(plain(jobs.early), ("celery",)),
    "link": Scenario(
        lambda at: at.send(jobs.give, "int", link=at.signature(jobs.see, "-link")),
        ("celery",),
        ("", "-link"),
    ),
    "link_error": Scenario(
        lambda at: at.send(
            jobs.fail, "ordinary", link_error=at.signature(jobs.see, "-link", 1, immutable=True)
        ),
        ("celery",),
        ("",),
    ),
    "chain": Scenario(_chain, ("celery",), ("", "-2", "-3")),
    "group": Scenario(_group, ("celery",), ("", "-2")),
    "chord": Scenario(_chord(jobs.give, "int"), ("celery",), ("", "-body")),
    "chord, fail": Scenario(_chord(jobs.fail, "ordinary"), ("celery",), ("", "-body")),
    "unknown task": Scenario(
        lambda at: app.send_task("plain.unknown", queue=at.queue, task_id=at.id()), ()
    ),
    "cancelled before": Scenario(_cancelled_before, ()),
    "cancelled before, ignored": Scenario(_cancelled_before_ignored, None),
    "add to chain": Scenario(plain(jobs.add_to_chain, False), parts=("", "-callback", "-next")),
    "add to chain, fail": Scenario(
        plain(jobs.add_to_chain, True), parts=("", "-callback", "-next", "-errback")
    ),
    "ignore it later": Scenario(plain(jobs.ignore_later)),
    "update state, fail": Scenario(plain(jobs.update_state, True)),
    "update state": Scenario(plain(jobs.update_state, False)),
    "replace": Scenario(plain(jobs.replace), ("short", "celery")),
    "call another": Scenario(plain(jobs.call_another)),
}

SCENARIOS = {**RETURNS, **FAILS, **OPTIONS}
