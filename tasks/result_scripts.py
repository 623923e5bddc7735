"""The scripts that change a job's state on the server, each in one step: see `tasks/results.py`.

They work on the job's two keys: `celery-task-meta-<id>`, Celery's JSON, and `expresslane-job-<id>`,
a hash.
"""

from tasks.broker.scripts import EVEN_WHEN_FULL
from tasks.broker.wire import Text

_RECORD = (
    EVEN_WHEN_FULL
    + """
-- KEYS: meta, job hash
-- ARGV: meta's JSON, state, attempt ('' if unknown), deaths of its workers before, seconds to keep,
--       number of the run, since when its message waited and was claimed, worker, error
even_when_full(KEYS[2])
local old = redis.call(
  'HMGET', KEYS[2], 'state', 'attempt', 'deaths', 'cancel', 'reruns', 'started')
if old[1] == 'SUCCESS' or old[1] == 'REVOKED' then return old[1] end
-- A worker with Celery's own backend may have taken the job over. It writes the meta alone.
local meta = redis.call('GET', KEYS[1])
if meta and string.find(meta, '"SUCCESS"', 1, true) then
  local is_json, read = pcall(cjson.decode, meta)
  if is_json and read.status == 'SUCCESS' then return 'SUCCESS' end
end
local before, died, cancel = tonumber(old[2]) or 0, tonumber(old[3]) or 0, old[4]
local rerun, reruns = tonumber(old[5]) or 0, tonumber(ARGV[6])
if ARGV[3] == '' then reruns = rerun end
if reruns > rerun then
  -- Attempts are counted from the first again. A wish to cancel is over when the job has failed,
  -- but not when its message was lost.
  before, died = 0, 0
  if old[1] == 'FAILURE' then cancel = false end
end
local attempt, deaths = tonumber(ARGV[3]) or math.max(before, 1), tonumber(ARGV[4])
if ARGV[3] == '' then deaths = died end
local clock = redis.call('TIME')
local now = string.format('%d.%06d', clock[1], clock[2])
if rerun > reruns or before > attempt or (before == attempt and died > deaths) then
  -- A job's next attempt is sent before this one is recorded, and may have begun. What this one has
  -- met belongs to the timeline all the same.
  local tries = ARGV[2] == 'RETRY' and rerun == reruns and redis.call('HGET', KEYS[2], 'tries')
  if tries then
    tries = cjson.decode(tries)
    for _, try in ipairs(tries) do
      if tonumber(try.attempt) == attempt and not try.ended then
        try.state, try.ended, try.error = ARGV[2], now, ARGV[10]
      end
    end
    redis.call('HSET', KEYS[2], 'tries', cjson.encode(tries))
  end
  return 'newer'
end
if cancel and (ARGV[2] == 'STARTED' or ARGV[2] == 'RETRY') then return 'cancel' end
if reruns > rerun then redis.call('HDEL', KEYS[2], 'progress') end
if old[4] and not cancel then redis.call('HDEL', KEYS[2], 'cancel') end
if ARGV[2] == 'STARTED' then
  if old[6] then
    local was = redis.call(
      'HMGET', KEYS[2], 'queued', 'claimed', 'started', 'ended', 'worker', 'error', 'tries')
    local tries = was[7] and cjson.decode(was[7]) or {}
    tries[#tries + 1] = {
      state = old[1], attempt = old[2], queued = was[1], claimed = was[2], started = was[3],
      ended = was[4], worker = was[5], error = was[6]
    }
    while #tries > 20 do table.remove(tries, 1) end
    redis.call('HDEL', KEYS[2], 'ended', 'error')
    redis.call('HSET', KEYS[2], 'tries', cjson.encode(tries))
  end
  redis.call(
    'HSET', KEYS[2], 'state', ARGV[2], 'attempt', attempt, 'deaths', deaths,
    'queued', ARGV[7], 'claimed', ARGV[8], 'started', now, 'worker', ARGV[9])
else
  redis.call(
    'HSET', KEYS[2], 'state', ARGV[2], 'attempt', attempt, 'deaths', deaths, 'ended', now)
  if ARGV[10] ~= '' then redis.call('HSET', KEYS[2], 'error', ARGV[10]) end
end
if reruns > 0 then redis.call('HSET', KEYS[2], 'reruns', reruns) end
redis.call('EXPIRE', KEYS[2], ARGV[5])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[5])
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 'recorded'
"""
)

RECORD = Text(_RECORD)
"""A worker tells how far a job is. What must not happen is refused: see the answers."""

WAIT_AGAIN = f"""
{EVEN_WHEN_FULL}
-- KEYS: meta, job hash   ARGV: meta's JSON ('' if its results are ignored), seconds to keep, reruns
-- A worker may have started the new run already: then there is nothing to do.
even_when_full(KEYS[2])
local old = redis.call('HMGET', KEYS[2], 'state', 'reruns')
if (tonumber(old[2]) or 0) >= tonumber(ARGV[3]) then return 0 end
if old[1] and old[1] ~= 'FAILURE' then return 0 end
if ARGV[1] == '' then return redis.call('DEL', KEYS[1], KEYS[2]) end
redis.call('HDEL', KEYS[2], 'cancel', 'progress')
redis.call('HSET', KEYS[2], 'state', 'PENDING', 'attempt', 0, 'deaths', 0, 'reruns', ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
"""

PUBLISH_FIELDS = f"""
{EVEN_WHEN_FULL}
-- KEYS: job hash   ARGV: seconds to keep, field, value, ...   answers 0 if the job is cancelled
even_when_full(KEYS[1])
if redis.call('HEXISTS', KEYS[1], 'cancel') == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('PUBLISH', KEYS[1], '')
return 1
"""

CANCEL = f"""
{EVEN_WHEN_FULL}
-- KEYS: meta, job hash   ARGV: meta's JSON, seconds to keep   answers the state before
even_when_full(KEYS[2])
if redis.call('EXISTS', KEYS[1]) == 0 then return 'UNKNOWN' end
local old = redis.call('HGET', KEYS[2], 'state') or 'PENDING'
if old == 'SUCCESS' or old == 'FAILURE' or old == 'REVOKED' then return old end
redis.call('HSET', KEYS[2], 'cancel', 1)
redis.call('EXPIRE', KEYS[2], ARGV[2])
if old == 'STARTED' then return old end
redis.call('HSET', KEYS[2], 'state', 'REVOKED')
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('PUBLISH', KEYS[1], ARGV[1])
return old
"""
