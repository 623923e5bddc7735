"""The steps on the server that keep failed jobs, each of them whole or not at all.

Keys, with the broker's `global_keyprefix` before each:

    expresslane-failed           hash: job id -> names, details, message; see below
    expresslane-failed-at        sorted set: job id by the time of its failure
    expresslane-failed-task:T    the same, of the jobs of one task
    expresslane-failed-queue:Q   ... of one queue
    expresslane-failed-error:E   ... with one type of error
    expresslane-failed-dropped   how many have made room for newer ones, or became too old

A value of the hash has three parts, each but the last on a line of its own: a JSON list of task,
queue, type of error and delivery tag, from which the scripts know the sorted sets that the job
is in; JSON of the details; the message's bytes.

A script that met an error half way would leave its first half: so what may fail comes first.
"""

from tasks.broker.scripts import BELL_TOKENS, EVEN_WHEN_FULL, RING

TRIM_STEP = 10
"""How many old jobs make room in one step. More than one, so that a lowered limit is reached."""

_REMOVE = """
local function names_of(value) return cjson.decode(string.match(value, '^[^\\n]*')) end
local function leave_sets(id, value, prefix)
  local names = names_of(value)
  redis.call('ZREM', prefix .. '-at', id)
  redis.call('ZREM', prefix .. '-task:' .. names[1], id)
  redis.call('ZREM', prefix .. '-queue:' .. names[2], id)
  redis.call('ZREM', prefix .. '-error:' .. names[3], id)
end
local function remove(id, prefix)
  local value = redis.call('HGET', prefix, id)
  if not value then return 0 end
  leave_sets(id, value, prefix)
  redis.call('HDEL', prefix, id)
  return 1
end
"""

STORE = f"""
{EVEN_WHEN_FULL}
{_REMOVE}
-- KEYS: failed jobs, unacked, deaths
-- ARGV: job id, delivery tag ('' if none), '1' if the claim must be held still, task, queue,
--       type of error, details (JSON), message ('' if the claim has it), how many to keep, seconds
-- Answers 'stored' or 'lost', and the ids of those that have made room.
even_when_full(KEYS[1])
local prefix, id, tag = KEYS[1], ARGV[1], ARGV[2]
local task, queue, error, message = ARGV[4], ARGV[5], ARGV[6], ARGV[8]
local held = tag ~= '' and redis.call('HGET', KEYS[2], tag)
local before = redis.call('HGET', prefix, id)
if held then
  local name
  message, name = string.match(held, '^%[(.*),"",(".*")%]$')
  queue = cjson.decode('[' .. name .. ']')[1]
elseif ARGV[3] == '1' then
  -- This very step may have been done, and its answer have been cut off.
  if before and names_of(before)[4] == tag then return {{'stored', {{}}}} end
  return {{'lost', {{}}}}
end
local clock = redis.call('TIME')
local now = clock[1] .. '.' .. string.format('%06d', clock[2])
local names = cjson.encode({{task, queue, error, tag}})
redis.call('HSET', prefix, id, names .. '\\n' .. ARGV[7] .. '\\n' .. message)
if before then leave_sets(id, before, prefix) end
redis.call('ZADD', prefix .. '-at', now, id)
redis.call('ZADD', prefix .. '-task:' .. task, now, id)
redis.call('ZADD', prefix .. '-queue:' .. queue, now, id)
redis.call('ZADD', prefix .. '-error:' .. error, now, id)
if held then
  -- Its worker still acknowledges the claim, and until then renews it in the index.
  redis.call('HDEL', KEYS[2], tag)
  redis.call('HDEL', KEYS[3], redis.sha1hex(message))
end
local surplus = redis.call('ZCARD', prefix .. '-at') - tonumber(ARGV[9])
local too_old = redis.call('ZRANGE', prefix .. '-at', '-inf', clock[1] - tonumber(ARGV[10]),
  'BYSCORE', 'LIMIT', 0, {TRIM_STEP})
local dropped = too_old
if surplus > #too_old then
  dropped = redis.call('ZRANGE', prefix .. '-at', 0, math.min(surplus, {TRIM_STEP}) - 1)
end
for _, old in ipairs(dropped) do remove(old, prefix) end
if #dropped > 0 then redis.call('INCRBY', prefix .. '-dropped', #dropped) end
return {{'stored', dropped}}
"""

WALK = """
-- KEYS: failed jobs, sorted set that the jobs must be in ...
-- ARGV: 'REV' for the newest first or 'FORTH', oldest time, newest time, time and id of the last
--       one seen ('' at the start), how many to find, how many to look at, and
--       what to answer of those found: 'count', 'ids' or 'values'
-- Answers whether that was all, time and id of the last one looked at, how many were found, and
-- their ids, times and values. Looks at the smallest of the sets, so at no more than it must.
local base = 2
for i = 3, #KEYS do
  if redis.call('ZCARD', KEYS[i]) < redis.call('ZCARD', KEYS[base]) then base = i end
end
local reverse = ARGV[1] == 'REV'
local first, last, seen_at, seen = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local passed = true
if seen_at ~= '' then
  -- Jobs of the very same time stand in some order; those after the one last seen are still due.
  passed = redis.call('ZSCORE', KEYS[base], seen) ~= seen_at
  local bound = (passed and '(' or '') .. seen_at
  if reverse then last = bound else first = bound end
end
local function page(from)
  if reverse then
    return redis.call('ZRANGE', KEYS[base], last, first, 'BYSCORE', 'REV', 'LIMIT', from, 100,
      'WITHSCORES')
  end
  return redis.call('ZRANGE', KEYS[base], first, last, 'BYSCORE', 'LIMIT', from, 100, 'WITHSCORES')
end
local function is_wanted(id)
  for i = 2, #KEYS do
    if i ~= base and not redis.call('ZSCORE', KEYS[i], id) then return false end
  end
  return true
end
local want, most = tonumber(ARGV[6]), tonumber(ARGV[7])
local found, count, looked, from = {}, 0, 0, 0
while true do
  local rows = page(from)
  for i = 1, #rows, 2 do
    local id, at = rows[i], rows[i + 1]
    if passed then
      looked, seen, seen_at = looked + 1, id, at
      if is_wanted(id) then
        count = count + 1
        if ARGV[8] == 'ids' then found[count] = {id, at} end
        if ARGV[8] == 'values' then found[count] = {id, at, redis.call('HGET', KEYS[1], id)} end
      end
    elseif id == seen then
      passed = true
    end
    if count >= want or looked >= most then return {0, seen_at, seen, count, found} end
  end
  if #rows < 200 then return {1, seen_at, seen, count, found} end
  from = from + 100
end
"""

REQUEUE = f"""
{_REMOVE}
{RING}
-- KEYS: failed jobs, list of the queue at the job's priority, queue
-- ARGV: job id, SHA-1 of the value that the message was made of, message
-- Answers 'queued', 'gone' if it is not here, 'changed' if it has failed anew.
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then return 'gone' end
if redis.sha1hex(value) ~= ARGV[2] then return 'changed' end
-- First, because the key may hold something else than a list.
local waiting = redis.call('LPUSH', KEYS[2], ARGV[3])
remove(ARGV[1], KEYS[1])
if waiting <= {BELL_TOKENS} then ring(KEYS[3]) end
return 'queued'
"""

DISCARD = f"""
{_REMOVE}
-- KEYS: failed jobs   ARGV: job id ...   answers how many were here
local count = 0
for _, id in ipairs(ARGV) do count = count + remove(id, KEYS[1]) end
return count
"""
