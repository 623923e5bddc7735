"""Jobs that were claimed together where there is no pool: one after the other, each for itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks import quarantine
from tests.integration.fastpath_fixtures import server
from tests.support import plain_jobs as jobs
from tests.support.two_ways import BOTH, CELERYS, SHORT, Way, id_of, queue_of, wait_until, working
from tests.support.valkey import Valkey

__all__ = ["server"]

MIXED: list[tuple[str, Any, tuple[object, ...]]] = [
    ("plain 1", jobs.see, ()),
    ("plain 2", jobs.give, ("int",)),
    ("hooked", jobs.hooked, (False,)),
    ("plain 3", jobs.ignoring, ()),
    ("plain fails", jobs.fail, ("ordinary",)),
    ("untracked", jobs.untracked, ()),
    ("sends on", jobs.send_on, ("return",)),
    ("hooked fails", jobs.hooked, (True,)),
    ("ignored", jobs.fail, ("ignore",)),
    ("plain 4", jobs.see, ()),
    ("not JSON", jobs.give, ("object",)),
    ("ends it", jobs.raise_base, ("exit",)),
    ("after it", jobs.see, ()),
    ("hooked 3", jobs.hooked, (False,)),
    ("ends it again", jobs.raise_base, ("generator",)),
    ("last", jobs.see, ()),
]


def lines(way: Way) -> list[tuple[str, str]]:
    """Return which job has begun and which has ended, in this order."""
    found = [json.loads(line) for line in way.worker.output().splitlines() if line[:1] == "{"]
    return [
        (str(line["job_id"]).removeprefix(f"{way.name}-"), line["event"].split()[1])
        for line in found
        if line["logger"] == "tasks" and line["event"].split()[1] != "received"
    ]


@pytest.mark.parametrize("multiplier", [1, 16])
def test_jobs_of_a_batch_run_in_order_and_what_one_does_hits_no_other(
    server: Valkey, tmp_path: Path, multiplier: int
) -> None:
    found: dict[str, list[object]] = {}
    names = [f"{multiplier} {name}" for name, _, _ in MIXED]
    for way_name in BOTH:
        for name, (_, task, args) in zip(names, MIXED, strict=True):
            job_id = id_of(way_name, "solo", name)
            task.apply_async(args, task_id=job_id, queue=queue_of(way_name, "solo"))
        with working(server, tmp_path, "solo", way_name, multiplier=multiplier) as way:
            wait_until(way.is_idle, "the end of all", way)
        found[way_name] = [lines(way), way.quarantined(), *map(way.kept, names)]
    assert found[SHORT][0] == found[CELERYS][0]
    begun = [job for job, event in lines(way) if event == "started,"]
    assert begun[: len(names)] == [f"solo-{name}" for name in names]
    for one, other in zip(found[SHORT], found[CELERYS], strict=True):
        assert one == other


def test_garbage_between_the_jobs_of_a_batch_hits_none_of_them(
    server: Valkey, tmp_path: Path
) -> None:
    queue, names = queue_of(SHORT, "solo"), [f"beside garbage {number}" for number in range(4)]
    for name in names:
        jobs.see.apply_async(task_id=id_of(SHORT, "solo", name), queue=queue)
        for garbage in (b"garbage", b"[]", b'{"headers": {}}', b"\xff" * 9):
            server.client.lpush(queue, garbage)
    before = quarantine.count()
    with working(server, tmp_path, "solo", SHORT, multiplier=16) as way:
        wait_until(way.is_idle, "the end of all", way)
    assert [way.ways(name) for name in names] == [["short"]] * 4
    assert [way.state(name) for name in names] == ["SUCCESS"] * 4
    assert quarantine.count() == before + 16
