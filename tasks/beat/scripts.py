"""The steps on the server that beat takes, each of them whole or not at all.

Keys, with the broker's `global_keyprefix` before each:

    expresslane-schedule          set of the entries' names
    expresslane-schedule:<name>   hash of one entry; all times are seconds since 1970

Fields of the hash: `about`, what beat's settings say of it, as JSON; `base`, the time from which
its next one is counted; `next`, when that is; `last`, when it last put a job into a queue, and
`job`, that job's id; `total`, how often it did; `error`, why it last did not; `paused`, since
when it is; `asked`, when somebody asked to run it now.
"""

from tasks.broker.scripts import RING

TELL = """
-- KEYS: names, entry   ARGV: name, about, the time now, next ('' if it is not to be changed)
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('HSETNX', KEYS[2], 'base', ARGV[3])
redis.call('HSET', KEYS[2], 'about', ARGV[2])
"""

TICK = f"""
{RING}
-- KEYS: entry, then for each message: list, queue
-- ARGV: 'base' for a tick or 'asked' for a run that was asked for, what that was, the time now,
--       id of the job, next, error ('' if the job was made), message ...
-- Answers 1, or 0 if somebody else was faster, has paused or has resumed it.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[1] == 'base' and redis.call('HEXISTS', KEYS[1], 'paused') == 1 then return 0 end
-- First, because a key may hold something else than a list.
for i = 7, #ARGV do
  redis.call('LPUSH', KEYS[2 * i - 12], ARGV[i])
  ring(KEYS[2 * i - 11])
end
if ARGV[1] == 'asked' then redis.call('HDEL', KEYS[1], 'asked')
else redis.call('HSET', KEYS[1], 'base', ARGV[3], 'next', ARGV[5]) end
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'error', ARGV[6])
  return 1
end
redis.call('HSET', KEYS[1], 'last', ARGV[3], 'job', ARGV[4])
redis.call('HINCRBY', KEYS[1], 'total', 1)
redis.call('HDEL', KEYS[1], 'error')
return 1
"""

PAUSE = """
-- KEYS: entry   answers 1, or 0 if it was paused
return redis.call('HSETNX', KEYS[1], 'paused', redis.call('TIME')[1])
"""

RESUME = """
-- KEYS: entry   answers 1, or 0 if it was not paused
if redis.call('HDEL', KEYS[1], 'paused') == 0 then return 0 end
local clock = redis.call('TIME')
redis.call('HSET', KEYS[1], 'base', clock[1] .. '.' .. string.format('%06d', clock[2]))
redis.call('HDEL', KEYS[1], 'next')
return 1
"""

ASK = """
-- KEYS: entry   answers 1, or 0 if it was asked for and is not done yet
local clock = redis.call('TIME')
return redis.call('HSETNX', KEYS[1], 'asked', clock[1] .. '.' .. string.format('%06d', clock[2]))
"""
