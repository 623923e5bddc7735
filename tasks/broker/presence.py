"""Which jobs the broker still has: in a queue, with a worker, or put aside for later.

Jobs move while one looks. Whoever asks must bear to be told that a job is missing which was on its
way from one place to another; looking twice makes that rare.
"""

from collections.abc import Iterator, Sequence

from tasks.broker.access import Server

PAGE = 500
"""Messages that are looked at in one step: about a millisecond of the server's."""

_ID = """
-- Kombu writes the properties last; in text, the quotes of such a name would be escaped.
local function id_of(message) return string.match(message, '.*"correlation_id": ?"([^"]*)"') end
"""

_IDS_IN_LIST = f"""
{_ID}
-- KEYS: list   ARGV: first and last place   answers whether there was anything, and the ids
local page = redis.pcall('LRANGE', KEYS[1], ARGV[1], ARGV[2])
if page.err then return {{0, {{}}}} end
local ids = {{}}
for _, message in ipairs(page) do ids[#ids + 1] = id_of(message) end
return {{#page, ids}}
"""

_IDS_IN_HASH = f"""
{_ID}
-- KEYS: hash   ARGV: cursor, how many   answers the next cursor and the ids
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local ids = {{}}
for i = 2, #page[2], 2 do ids[#ids + 1] = id_of(page[2][i]) end
return {{page[1], ids}}
"""


def missing(server: Server, queues: Sequence[str], job_ids: Sequence[str]) -> set[str]:
    """Return those of the jobs that are in none of the queues, with no worker, and not put aside.

    It looks until all are found, so at everything that waits in the worst case.
    """
    left = set(job_ids)
    for _ in range(2):
        for found in _all_ids(server, queues):
            left.difference_update(found)
            if not left:
                return left
    return left


def _all_ids(server: Server, queues: Sequence[str]) -> Iterator[set[str]]:
    # What workers hold is the least; a job on its way from a queue to a worker is met by the second
    # look at the latest.
    yield from _in_hash(server, server.keys.unacked)
    yield from _in_hash(server, server.keys.delayed_messages)
    for queue in queues:
        for priority in server.channel.priority_steps:
            yield from _in_list(server, server.queue_key(queue, priority))


def _in_list(server: Server, key: str) -> Iterator[set[str]]:
    script = server.client.register_script(_IDS_IN_LIST)
    first, looked = 0, PAGE
    while looked:
        looked, ids = script([key], [first, first + PAGE - 1])
        yield {job_id.decode() for job_id in ids}
        # A queue is taken from at its right end, and grows at its left: what was pushed meanwhile
        # is new, and moves the rest towards us.
        first += int(looked)


def _in_hash(server: Server, key: str) -> Iterator[set[str]]:
    script = server.client.register_script(_IDS_IN_HASH)
    cursor = b"0"
    while True:
        cursor, ids = script([key], [cursor, PAGE])
        yield {job_id.decode() for job_id in ids}
        if cursor == b"0":
            return
