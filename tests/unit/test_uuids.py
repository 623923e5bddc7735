"""UUIDs that are made many at a time."""

import os
import subprocess
import sys
from uuid import RFC_4122, UUID

from tasks.broker.uuids import TagsTogether, as_uuids, new_id, split
from tasks.job_ids import JobIds, ids_between
from tests.support.programs import ROOT

_FORKED = """
import os, sys
from tasks.broker.uuids import new_id, new_tag, new_tags
new_id(), new_tag(), new_tags()
child = os.fork()
if child:
    os.waitpid(child, 0)
print(new_id()[:24], new_tag()[:24], new_tags()[:24], flush=True)
"""


def test_they_are_those_that_the_standard_library_makes_of_the_same_bytes() -> None:
    drawn = os.urandom(16 * 50)
    expected = [UUID(bytes=drawn[at : at + 16], version=4) for at in range(0, len(drawn), 16)]
    assert split(as_uuids(drawn)) == list(map(str, expected))
    assert as_uuids(b"") == ""


def test_none_is_returned_twice() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert len(set(ids)) == len(ids)
    assert {(UUID(one).version, UUID(one).variant) for one in ids} == {(4, RFC_4122)}


def test_a_forked_process_draws_its_own() -> None:
    argv = [sys.executable, "-c", _FORKED]
    told = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    ours, childs = (line.split() for line in told.splitlines())
    assert all(one != other for one, other in zip(ours, childs, strict=True))


def test_tags_that_begin_alike_are_uuids_that_differ() -> None:
    tags = TagsTogether()
    made = [begin + end.decode() for begin in (tags.new(), tags.new()) for end in tags.ENDS]
    assert len(set(made)) == 2 * 4_096
    assert all(str(UUID(one)) == one for one in made[::1_000])


def test_ids_of_many_jobs_are_the_same_however_they_are_asked_for() -> None:
    ids = JobIds(b"secret", range(300))
    alone = [ids[number] for number in range(300)]
    assert list(ids) == alone
    assert list(ids[130:200]) == alone[130:200]
    assert [split(ids_between(b"secret", first, 250)) for first in (0, 63, 64, 249, 250)] == [
        alone[first:250] for first in (0, 63, 64, 249, 250)
    ]
