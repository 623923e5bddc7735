"""The steps on the server that look at waiting messages and change them, each whole or not at all.

The keys are those of `tasks/broker/scripts.py`. A message is changed only if its bytes have the
SHA-1 that it was seen with: what a worker has taken meanwhile, or somebody has edited, is not found
and nothing is done.

Workers take from a list's right end and producers add at its left one, so where a message was seen
tells roughly where it is now. It is looked for around the place that its distance from either end
means, `REACH` messages far at most. While only one end moves, one of the two places is the very
one. A step looks at no more than some thousand messages, whatever the length of the list.

Indexes count from the left end, from 0: the message that is taken next is the last one.
"""

from tasks.broker.scripts import RING

REACH = 500
"""How far from where it was seen a message is looked for, in each direction."""

DEEP = 50_000
"""How far from both ends a message is removed by looking for it: 4 ms of the server's at most."""

HELD_MOST = 1_000
"""Claims that are counted by their queue at most: more would keep the server for milliseconds."""

_LOCATE = f"""
-- `wanted` maps the SHA-1s that are looked for to how much each is worth, 1 the most.
-- Returns the index of the best one in the first span that has any, and its message.
local function best_of(list, first, last, wanted)
  local found, message, worth
  if last < first then return nil end
  for i, one in ipairs(redis.call('LRANGE', list, first, last)) do
    local rank = wanted[redis.sha1hex(one)]
    if rank and (not worth or rank < worth) then
      found, message, worth = first + i - 1, one, rank
    end
  end
  return found, message
end
-- Looks at the guesses themselves, then at 20 and 100 more on either side of each, and so on.
local function locate(list, length, guesses, wanted)
  local reached, far = -1, 0
  for i = 1, 2 do guesses[i] = math.max(0, math.min(guesses[i], length - 1)) end
  if guesses[1] == guesses[2] then guesses[2] = nil end
  while true do
    for _, at in ipairs(guesses) do
      local before, after = {{at - far, at - reached - 1}}, {{at + reached + 1, at + far}}
      if reached < 0 then before, after = {{at, at}}, {{0, -1}} end
      for _, span in ipairs({{before, after}}) do
        local found, message = best_of(
          list, math.max(0, span[1]), math.min(length - 1, span[2]), wanted)
        if found then return found, message end
      end
    end
    if far >= {REACH} then return nil end
    reached, far = far, math.min(far == 0 and 20 or far + 100, {REACH})
  end
end
local function only(digest) return {{[digest] = 1}} end
local function find(list, digest, from_next, from_last)
  local length = redis.call('LLEN', list)
  if length == 0 then return nil end
  local guesses = {{length - 1 - tonumber(from_next), tonumber(from_last)}}
  local index, message = locate(list, length, guesses, only(digest))
  return index, message, length
end
-- Redis removes by value alone, and looks for it from an end: so the message becomes one that no
-- other is, and that is removed. Where that would take long, the job that came last moves there.
local function take_out(list, index, length, mark)
  if math.min(index, length - 1 - index) > {DEEP} then
    redis.call('LSET', list, index - 1, redis.call('LPOP', list))
    return
  end
  redis.call('LSET', list, index, mark)
  redis.call('LREM', list, index < length / 2 and 1 or -1, mark)
end
"""

LOOK = f"""
{_LOCATE}
-- KEYS: list
-- ARGV: 'next' or 'last', how many; and to go on where a page has ended: how far its last job was
--       from either end, SHA-1s of its last jobs, the very last one first
-- Answers the length of the list, the index of the first row, and the rows in their order.
local length, want = redis.call('LLEN', KEYS[1]), tonumber(ARGV[2])
local up = ARGV[1] == 'last'
local start = up and 0 or length - 1
if #ARGV > 2 and length > 0 then
  local wanted = {{}}
  for i = 5, #ARGV do wanted[ARGV[i]] = wanted[ARGV[i]] or i end
  local guesses = {{length - 1 - tonumber(ARGV[3]), tonumber(ARGV[4])}}
  if up then guesses = {{guesses[2], guesses[1]}} end
  local seen = locate(KEYS[1], length, guesses, wanted)
  -- Not found: workers took them, and what is before them too, so all that is left is unseen. At
  -- the other end the list has grown by more than we look: showing some again skips none.
  if seen then start = up and seen + 1 or seen - 1
  elseif up then start = tonumber(ARGV[4]) end
end
if start < 0 or start >= length then return {{length, start, {{}}}} end
if up then return {{length, start, redis.call('LRANGE', KEYS[1], start, start + want - 1)}} end
local rows, reversed = redis.call('LRANGE', KEYS[1], math.max(0, start - want + 1), start), {{}}
for i = #rows, 1, -1 do reversed[#reversed + 1] = rows[i] end
return {{length, start, reversed}}
"""

SEEK = """
-- KEYS: list   ARGV: first index, last index, text that the message must have ...
-- Answers the length, and index and message of each that has one of them.
local length = redis.call('LLEN', KEYS[1])
local first = tonumber(ARGV[1])
if first < 0 then first = math.max(0, length + first) end
local found = {}
for i, message in ipairs(redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[2])) do
  for text = 3, #ARGV do
    if string.find(message, ARGV[text], 1, true) then
      found[#found + 1] = {first + i - 1, message}
      break
    end
  end
end
return {length, found}
"""

FIND = f"""
{_LOCATE}
-- KEYS: list   ARGV: SHA-1, how far it was from either end   answers length, index, message
local index, message, length = find(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if not index then return nil end
return {{length, index, message}}
"""

REPLACE = f"""
{_LOCATE}
-- KEYS: list   ARGV: SHA-1, how far it was from either end, new message   answers length, index
local index, _, length = find(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if not index then return nil end
redis.call('LSET', KEYS[1], index, ARGV[4])
return {{length, index}}
"""

MOVE = f"""
{_LOCATE}
{RING}
-- KEYS: list, new list, queue of that
-- ARGV: SHA-1, how far it was from either end, 'LPUSH' for the new list's end or 'RPUSH' for its
--       front, the message as it is to be there, a mark   answers 1, or 0 if it is gone
local index, _, length = find(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if not index then return 0 end
local is_same = KEYS[1] == KEYS[2]
if is_same then take_out(KEYS[1], index, length, ARGV[6]) end
-- Otherwise first, because the key may hold something else than a list: then nothing is changed.
redis.call(ARGV[4], KEYS[2], ARGV[5])
if not is_same then take_out(KEYS[1], index, length, ARGV[6]) end
ring(KEYS[3])
return 1
"""

MOVE_NEXT = f"""
{RING}
-- KEYS: list, new list, queue of that   ARGV: SHA-1, the message as it is to be there, ...
-- Moves those that still are the next ones, in this order; the others were taken. Answers how many.
local moved, message, digest = 0, nil, nil
for i = 1, #ARGV, 2 do
  if not message then
    message = redis.call('LINDEX', KEYS[1], -1)
    if not message then break end
    digest = redis.sha1hex(message)
  end
  if digest == ARGV[i] then
    redis.call('LPUSH', KEYS[2], ARGV[i + 1])
    redis.call('RPOP', KEYS[1])
    moved, message = moved + 1, nil
    ring(KEYS[3])
  end
end
return moved
"""

_KEEP = """
local function keep_aside(quarantine, about, most, message)
  redis.call('XADD', quarantine, 'MAXLEN', '~', most, '*', 'about', about, 'message', message)
  redis.call('INCR', quarantine .. '.count')
end
"""

REMOVE = f"""
{_LOCATE}
{_KEEP}
-- KEYS: list, deaths, quarantine
-- ARGV: SHA-1, how far it was from either end, a mark, and for a message that is no job: what is
--       known of it (JSON, or ''), how many of those to keep   answers 1, or 0 if it is gone
local index, message, length = find(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if not index then return 0 end
if ARGV[5] ~= '' then keep_aside(KEYS[3], ARGV[5], ARGV[6], message) end
take_out(KEYS[1], index, length, ARGV[4])
redis.call('HDEL', KEYS[2], ARGV[1])
return 1
"""

HELD = f"""
-- KEYS: unacked   answers names of queues as JSON, once for each claim of them; nil: too many
if redis.call('HLEN', KEYS[1]) > {HELD_MOST} then return nil end
local names = {{}}
for _, tag in ipairs(redis.call('HKEYS', KEYS[1])) do
  local name = string.match(redis.call('HGET', KEYS[1], tag), '^%[.*,"",(".*")%]$')
  if name then names[#names + 1] = name end
end
return names
"""

SEEK_HELD = f"""
-- KEYS: unacked   ARGV: text that the message must have ...
-- Answers the tag and what is stored of each that has one of them; nil: too many to look at.
if redis.call('HLEN', KEYS[1]) > {HELD_MOST} then return nil end
local found = {{}}
for _, tag in ipairs(redis.call('HKEYS', KEYS[1])) do
  local stored = redis.call('HGET', KEYS[1], tag)
  for _, text in ipairs(ARGV) do
    if string.find(stored, text, 1, true) then
      found[#found + 1] = {{tag, stored}}
      break
    end
  end
end
return found
"""

PAUSE = """
-- KEYS: paused queues   ARGV: name as JSON   answers 1, or 0 if it was paused
return redis.call('HSETNX', KEYS[1], ARGV[1], redis.call('TIME')[1])
"""

RESUME = f"""
{RING}
-- KEYS: paused queues, queue   ARGV: name as JSON   answers 1, or 0 if it was not paused
local resumed = redis.call('HDEL', KEYS[1], ARGV[1])
if resumed == 1 then ring(KEYS[2]) end
return resumed
"""

DELAYED = """
-- KEYS: delayed, delayed messages
-- ARGV: how many; and to go on where a page has ended: the time and the tag of its last job
-- Answers how many there are, how many come up to the last row, and rows of tag, time and what is
-- stored. Members of one time are sorted by their bytes, so the place of one that is gone is found.
local function is_at_most(one, other)
  -- Lua's own comparison goes by the server's locale.
  for i = 1, math.min(#one, #other) do
    local a, b = string.byte(one, i), string.byte(other, i)
    if a ~= b then return a < b end
  end
  return #one <= #other
end
local low = 0
if #ARGV > 1 then
  low = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[2])
  local high = redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[2])
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_at_most(redis.call('ZRANGE', KEYS[1], middle, middle)[1], ARGV[3]) then low = middle + 1
    else high = middle end
  end
end
local found = redis.call('ZRANGE', KEYS[1], low, low + ARGV[1] - 1, 'WITHSCORES')
local rows = {}
for i = 1, #found, 2 do
  rows[#rows + 1] = {found[i], found[i + 1], redis.call('HGET', KEYS[2], found[i]) or ''}
end
return {redis.call('ZCARD', KEYS[1]), low + #rows, rows}
"""

SEEK_DELAYED = """
-- KEYS: delayed, delayed messages   ARGV: first place, last place, text it must have ...
-- Answers the tag, the time and what is stored of each that has one of them.
local found = {}
local rows = redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2], 'WITHSCORES')
for i = 1, #rows, 2 do
  local stored = redis.call('HGET', KEYS[2], rows[i]) or ''
  for text = 3, #ARGV do
    if string.find(stored, ARGV[text], 1, true) then
      found[#found + 1] = {rows[i], rows[i + 1], stored}
      break
    end
  end
end
return found
"""

RUN_NOW = f"""
{RING}
-- KEYS: delayed, delayed messages, list, queue
-- ARGV: tag, SHA-1 of what is stored, message   answers 1, or 0 if it is gone
local stored = redis.call('HGET', KEYS[2], ARGV[1])
if not stored or redis.sha1hex(stored) ~= ARGV[2] then return 0 end
redis.call('RPUSH', KEYS[3], ARGV[3])
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
ring(KEYS[4])
return 1
"""

CANCEL = f"""
{_KEEP}
-- KEYS: delayed, delayed messages, deaths, quarantine
-- ARGV: tag, SHA-1 of what is stored, message, and for one that is no job: what is known of it
--       (JSON, or ''), how many of those to keep   answers 1, or 0 if it is gone
local stored = redis.call('HGET', KEYS[2], ARGV[1])
if not stored or redis.sha1hex(stored) ~= ARGV[2] then return 0 end
if ARGV[4] ~= '' then keep_aside(KEYS[4], ARGV[4], ARGV[5], ARGV[3]) end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], redis.sha1hex(ARGV[3]))
return 1
"""
