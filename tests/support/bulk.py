"""Very many jobs in a queue, without the hours that it would take to send them."""

import json

import redis

_LOAD = """
-- KEYS: list   ARGV: how many, what stands before the number in each message, and after it
for number = 1, tonumber(ARGV[1]) do
  redis.call('LPUSH', KEYS[1], ARGV[2] .. string.format('%07d', number) .. ARGV[3])
end
"""

PLACE = "0000000"
STEP = 50_000


def load(client: redis.Redis, queue: str, count: int) -> None:
    """Put jobs into a queue whose key is a list as it is; the message is one that waits there."""
    message = client.lindex(queue, 0)
    assert isinstance(message, bytes)
    envelope = json.loads(message)
    envelope["headers"]["id"] = f"bulk-{PLACE}"
    for name in ("argsrepr", "kwargsrepr", "root_id", "parent_id", "origin"):
        envelope["headers"].pop(name, None)
    before, _, after = json.dumps(envelope).partition(PLACE)
    script = client.register_script(_LOAD)
    for done in range(0, count, STEP):
        number = f"{done // STEP:03d}"
        script([queue], [min(STEP, count - done), before + number, after])
