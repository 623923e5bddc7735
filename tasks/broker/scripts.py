"""The steps that run on the server, each of them whole or not at all.

The keys are kombu's: a list for each queue and priority, taken from its right end; `unacked`, a
hash from delivery tag to `[message, exchange, routing key]`; `unacked_index`, a sorted set of
tags by the time of their claim. A stock worker reads them and can take back what was claimed
here: the exchange is written as "", which is kombu's name for "to the queue that the routing key
names".

The messages are never parsed here, so any bytes can be claimed. Their delivery tags stay as they
were sent; the tag of a claim is its key in `unacked`. It ends in the message's priority, which
tells the list that it came from.

Own keys beside kombu's: `<queue>.bell`, tokens that wake waiting workers, and `deaths`, a hash
from a message's SHA-1 to how many claims of it have ended with their worker. It is empty in a
healthy system. Messages whose time has not come wait in `delayed`, a sorted set of tags by the
time that they are due, and `delayed.messages`, a hash like `unacked`: no worker holds them.
`expresslane-paused` is a hash of the queues that are paused: from name, as JSON, to when.

A message that is in `deaths` is a suspect, and from then on only what its own job does counts: when
that starts, the claim's tag is written into `deaths` too, and the end of a worker that held it
unstarted changes nothing. So a bystander is counted once, and only a suspect's start costs a
command.

Time is the server's, so clocks of machines need not agree. Needs Redis 6.2 or Valkey 7.2: RPOP
with a count.
"""

EVEN_WHEN_FULL = """
-- A server that is full refuses a script's first write, if that needs memory, and none that follow
-- it. What comes in is refused so. What is in must still be worked on, or nothing would ever leave.
local function even_when_full(hash) redis.call('HDEL', hash, '') end
"""
"""For scripts that keep the books of what is in. No field has that name, so nothing changes."""

BELL_TOKENS = 64
"""More waiting workers than this need not be woken at once; each looks by itself after a second."""

BELL_EXPIRES_MS = 10_000
"""A bell nobody waits for is forgotten: a token is of no use to a worker that comes later."""

RING = f"""
local function ring(queue, times)
  local bell, tokens = queue .. '.bell', 0
  for _ = 1, times or 1 do tokens = redis.call('LPUSH', bell, 1) end
  if tokens == (times or 1) then redis.call('PEXPIRE', bell, {BELL_EXPIRES_MS}) end
  if tokens > {BELL_TOKENS} then redis.call('LTRIM', bell, 0, {BELL_TOKENS - 1}) end
end
"""

PUBLISHED_FROM = 8
"""The number of the argument that is the first message."""

PUBLISH = f"""
{RING}
-- KEYS: list, queue, key of a mark ...
-- ARGV: how many messages, seconds to keep a mark, its text before its job's id, between that and
--       the time, and behind it, what its key has before the id, UUIDs of jobs to be marked, one
--       behind the other, message ..., then the id for each key of a mark, in quotes, then for each
--       event: channel, event
-- A mark is set where nothing is stored. If the list's key holds something else, nothing is done.
local call, count, keys, uuids = redis.call, tonumber(ARGV[1]), #KEYS - 2, ARGV[7]
local last = count + {PUBLISHED_FROM - 1}
local waiting = 0
for from = {PUBLISHED_FROM}, last, 1000 do
  waiting = call('LPUSH', KEYS[1], unpack(ARGV, from, math.min(from + 999, last)))
end
if keys > 0 or uuids ~= '' then
  local clock = call('TIME')
  local before, prefix, unit, till = ARGV[3], ARGV[6], 'EX', ARGV[2]
  local after = ARGV[4] .. clock[1] .. '.' .. string.sub(1000000 + clock[2], 2) .. ARGV[5]
  if #uuids > 36 then
    -- Given as a moment, the server need not compute it for each.
    unit, till = 'PXAT', string.format('%d%03d', clock[1] + till, clock[2] / 1000)
  end
  for at = 1, #uuids, 36 do
    local id = string.sub(uuids, at, at + 35)
    call('SET', prefix .. id, before .. '"' .. id .. '"' .. after, unit, till, 'NX')
  end
  for key = 1, keys do
    call('SET', KEYS[key + 2], before .. ARGV[last + key] .. after, unit, till, 'NX')
  end
end
-- Behind a longer queue nobody waits: whoever is free claims without being woken.
if waiting - count < {BELL_TOKENS} then ring(KEYS[2], math.min(count, {BELL_TOKENS})) end
for event = last + keys + 1, #ARGV, 2 do redis.pcall('PUBLISH', ARGV[event], ARGV[event + 1]) end
return waiting
"""

_ACKNOWLEDGE = """
local function in_parts(command, key, first, last)
  -- Lua's unpack has a limit of some thousand values.
  for from = first, last, 1000 do
    redis.call(command, key, unpack(ARGV, from, math.min(from + 999, last)))
  end
end
local function acknowledge(first, last)
  in_parts('HDEL', KEYS[1], first, last)
  in_parts('ZREM', KEYS[2], first, last)
end
"""

CLAIM = f"""
{_ACKNOWLEDGE}
-- KEYS: unacked, index, deaths, paused queues, list ...
-- ARGV: how many, prefix of the new tags, number of the last tag, how many acknowledged,
--       acknowledged tag ..., then for each list: its priority, its queue's name as JSON
-- Answers lists of 4: a claim is tag, number of its list, deaths, message;
--                     a list that is none is '', its number, 0, the server's error.
local want, prefix, number = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local acknowledged = tonumber(ARGV[4])
if acknowledged > 0 then acknowledge(5, 4 + acknowledged) end
local names = 4 + acknowledged
local clock = redis.call('TIME')
local now = clock[1] .. '.' .. string.format('%06d', clock[2])
local counting = redis.call('EXISTS', KEYS[3]) == 1
local pausing = redis.call('EXISTS', KEYS[4]) == 1
local answer, stored, scored = {{}}, {{}}, {{}}
for list = 1, #KEYS - 4 do
  if want <= 0 then break end
  local priority, name = ARGV[names + 2 * list - 1], ARGV[names + 2 * list]
  local taken = false
  if not (pausing and redis.call('HEXISTS', KEYS[4], name) == 1) then
    taken = redis.pcall('RPOP', KEYS[4 + list], want)
  end
  if taken and taken.err then
    answer[#answer + 1] = {{'', list, 0, taken.err}}
  elseif taken then
    for _, message in ipairs(taken) do
      number = number + 1
      local tag = prefix .. number .. '.' .. priority
      local deaths = 0
      if counting then
        deaths = tonumber(redis.call('HGET', KEYS[3], redis.sha1hex(message)) or 0)
      end
      stored[#stored + 1] = tag
      stored[#stored + 1] = '[' .. message .. ',"",' .. name .. ']'
      scored[#scored + 1] = now
      scored[#scored + 1] = tag
      answer[#answer + 1] = {{tag, list, deaths, message}}
      want = want - 1
    end
  end
end
for from = 1, #stored, 1000 do
  local last = math.min(from + 999, #stored)
  redis.call('HSET', KEYS[1], unpack(stored, from, last))
  redis.call('ZADD', KEYS[2], unpack(scored, from, last))
end
return answer
"""

ACKNOWLEDGE = f"""
{_ACKNOWLEDGE}
-- KEYS: unacked, index   ARGV: tag ...
acknowledge(1, #ARGV)
"""

SURELY, PERHAPS = "1", "?"

_ENQUEUE = f"""
{RING}
-- Own tags end in the priority of the list that their message came from.
local function enqueue(tag, stored, command, prefix, separator)
  local message, name = string.match(stored, '^%[(.*),"",(".*")%]$')
  local queue = prefix .. cjson.decode('[' .. name .. ']')[1]
  local priority = string.match(tag, '%.(%d+)$')
  local list = queue
  if priority ~= '0' then list = queue .. separator .. priority end
  -- Where the list's key holds something else, nothing is moved: the message stays on record.
  local waiting = redis.pcall(command, list, message)
  if type(waiting) == 'table' then return nil end
  ring(queue)
  return message
end
"""

_PUT_BACK = f"""
{_ENQUEUE}
-- died: '' if the claim has not ended with its worker, '{SURELY}' if it was its job that ran there,
--       '{PERHAPS}' if it is not known whether the job had started.
local function put_back(tag, command, prefix, separator, died)
  local stored = redis.call('HGET', KEYS[1], tag)
  local message = stored and enqueue(tag, stored, command, prefix, separator)
  if stored and not message then return 0 end
  redis.call('ZREM', KEYS[2], tag)
  redis.call('HDEL', KEYS[1], tag)
  local started = redis.call('HDEL', KEYS[3], tag) == 1
  if not stored then return 0 end
  if died == '' then return 1 end
  local digest = redis.sha1hex(message)
  if died == '{SURELY}' or started or redis.call('HEXISTS', KEYS[3], digest) == 0 then
    redis.call('HINCRBY', KEYS[3], digest, 1)
    redis.call('EXPIRE', KEYS[3], {30 * 86_400})
  end
  return 1
end
"""

GIVE_BACK = f"""
{EVEN_WHEN_FULL}
{_PUT_BACK}
-- KEYS: unacked, index, deaths
-- ARGV: 'RPUSH' for the front of the queue or 'LPUSH' for its end, prefix of keys, separator of
--       priorities, how the claims died (see put_back), tag ...   answers how many went back
even_when_full(KEYS[1])
local given = 0
for i = #ARGV, 5, -1 do
  given = given + put_back(ARGV[i], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
end
return given
"""

TAKE_FROM_THE_DEAD = f"""
{EVEN_WHEN_FULL}
{_PUT_BACK}
-- KEYS: unacked, index, deaths
-- ARGV: lease in seconds, prefix of own tags, how many at most, prefix of keys, separator
-- Answers how many went back, and the tags of others (stock workers) that are as old.
even_when_full(KEYS[1])
local clock = redis.call('TIME')
local due = clock[1] + clock[2] / 1000000 - tonumber(ARGV[1])
local most = tonumber(ARGV[3])
local own, others, from = {{}}, {{}}, 0
repeat
  local page = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', due, 'LIMIT', from, 1000)
  for _, tag in ipairs(page) do
    if string.sub(tag, 1, #ARGV[2]) == ARGV[2] then own[#own + 1] = tag
    else others[#others + 1] = tag end
  end
  from = from + #page
until #page < 1000 or #own >= most or from >= 10000
local given = 0
for i = math.min(#own, most), 1, -1 do
  given = given + put_back(own[i], 'RPUSH', ARGV[4], ARGV[5], '{PERHAPS}')
end
return {{given, others}}
"""

DELAY = f"""
{EVEN_WHEN_FULL}
-- KEYS: unacked, index, delayed, delayed messages   ARGV: tag, when it is due
even_when_full(KEYS[1])
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored then
  redis.call('HSET', KEYS[4], ARGV[1], stored)
  redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
end
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
"""

RELEASE_DUE = f"""
{_ENQUEUE}
-- KEYS: delayed, delayed messages   ARGV: how many at most, prefix of keys, separator
-- Nothing here needs more memory than it frees: see EVEN_WHEN_FULL.
redis.call('ZREM', KEYS[1], '')
-- Answers the seconds until the next one is due, as text; '' if there is none.
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
-- Behind what waits, the earliest first: in front of it, each call would overtake the one before.
for _, tag in ipairs(due) do
  local stored = redis.call('HGET', KEYS[2], tag)
  if not stored or enqueue(tag, stored, 'LPUSH', ARGV[2], ARGV[3]) then
    redis.call('ZREM', KEYS[1], tag)
    redis.call('HDEL', KEYS[2], tag)
  end
end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if #next == 0 then return '' end
return tostring(math.max(tonumber(next[2]) - now, 0))
"""

RENEW = """
-- KEYS: index   ARGV: tag ...   answers the tags that are held no more
-- On a full server as well: see EVEN_WHEN_FULL.
redis.call('ZREM', KEYS[1], '')
local clock = redis.call('TIME')
local now = clock[1] .. '.' .. string.format('%06d', clock[2])
local lost = {}
for _, tag in ipairs(ARGV) do
  if redis.call('ZSCORE', KEYS[1], tag) then redis.call('ZADD', KEYS[1], now, tag)
  else lost[#lost + 1] = tag end
end
return lost
"""

START_SUSPECT = f"""
{EVEN_WHEN_FULL}
-- KEYS: unacked, deaths   ARGV: tag   answers 1, or 0 if the claim was lost meanwhile
even_when_full(KEYS[1])
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], 1)
return 1
"""

FORGET_DEATHS = """
-- KEYS: deaths   ARGV: tag, message
redis.call('HDEL', KEYS[1], ARGV[1], redis.sha1hex(ARGV[2]))
"""

QUARANTINE = f"""
{EVEN_WHEN_FULL}
-- KEYS: unacked, index, deaths, quarantine   ARGV: tag, what is known (JSON), how many to keep
-- Answers 1, or 0 if the claim was lost meanwhile: then whoever has it now will quarantine it.
even_when_full(KEYS[1])
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored then
  local message = string.match(stored, '^%[(.*),"",".*"%]$')
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[3], '*', 'about', ARGV[2], 'message', message)
  redis.call('INCR', KEYS[4] .. '.count')
  redis.call('HDEL', KEYS[3], redis.sha1hex(message))
end
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
"""

RELEASE = f"""
{RING}
-- KEYS: quarantine, queue   ARGV: id   answers 1, or 0 if it is not there any more
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then return 0 end
for field = 1, #found[1][2], 2 do
  if found[1][2][field] == 'message' then
    redis.call('LPUSH', KEYS[2], found[1][2][field + 1])
  end
end
redis.call('XDEL', KEYS[1], ARGV[1])
ring(KEYS[2])
return 1
"""
