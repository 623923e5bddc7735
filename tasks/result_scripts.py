"""The scripts that change a job's state on the server, each in one step: see `tasks/results.py`.

They work on the job's two keys: `celery-task-meta-<id>`, Celery's JSON, and `expresslane-job-<id>`,
a hash.
"""

from tasks.broker.scripts import EVEN_WHEN_FULL
from tasks.broker.wire import Text

RECORD_ARGUMENTS = 10
"""How many arguments `RECORD` takes for each job."""

_RECORD = """
-- KEYS: for each job: meta, job hash
-- ARGV: for each job: meta's JSON, state, attempt ('' if unknown), deaths of its workers before,
--       seconds to keep, number of the run, since when its message waited and was claimed, worker,
--       error
-- Answers for each job what was done, or the error.
-- As `even_when_full` does it, once for all jobs, and whatever that key holds.
redis.pcall('HDEL', KEYS[2], '')
local clock = redis.call('TIME')
local now = string.format('%d.%06d', clock[1], clock[2])

-- A worker with Celery's own backend may have taken the job over. It writes the meta alone.
local function succeeded(meta)
  if not (meta and string.find(meta, '"SUCCESS"', 1, true)) then return false end
  local is_json, read = pcall(cjson.decode, meta)
  return is_json and read.status == 'SUCCESS'
end

local function tell(meta, job, text, seconds)
  redis.call('EXPIRE', job, seconds)
  redis.call('SET', meta, text, 'EX', seconds)
  redis.call('PUBLISH', meta, text)
  return 'recorded'
end

local function record(
    meta, job, text, state, tried, killed, seconds, run, queued, claimed, worker, error)
  if state == 'STARTED' and tried == '1' and killed == '0' and run == '0'
      and redis.call('EXISTS', job) == 0 then
    -- The first that is heard of it, which goes for most jobs.
    if succeeded(redis.call('GET', meta)) then return 'SUCCESS' end
    redis.call(
      'HSET', job, 'state', state, 'attempt', 1, 'deaths', 0,
      'queued', queued, 'claimed', claimed, 'started', now, 'worker', worker)
    return tell(meta, job, text, seconds)
  end
  local old = redis.call('HMGET', job, 'state', 'attempt', 'deaths', 'cancel', 'reruns', 'started')
  if old[1] == 'SUCCESS' or old[1] == 'REVOKED' then return old[1] end
  if state == 'SUCCESS' and old[1] == 'STARTED' and old[2] == tried and old[3] == killed
      and (old[5] or '0') == run and not old[4] then
    -- It began, and has ended: nothing else has happened, unless the other backend says so.
    local before = redis.call('SET', meta, text, 'EX', seconds, 'GET')
    if succeeded(before) then
      redis.call('SET', meta, before, 'EX', seconds)
      return 'SUCCESS'
    end
    redis.call('HSET', job, 'state', state, 'ended', now)
    redis.call('EXPIRE', job, seconds)
    redis.call('PUBLISH', meta, text)
    return 'recorded'
  end
  if succeeded(redis.call('GET', meta)) then return 'SUCCESS' end
  local before, died, cancel = tonumber(old[2]) or 0, tonumber(old[3]) or 0, old[4]
  local rerun, reruns = tonumber(old[5]) or 0, tonumber(run)
  if tried == '' then reruns = rerun end
  if reruns > rerun then
    -- Attempts are counted from the first again. A wish to cancel is over when the job has failed,
    -- but not when its message was lost.
    before, died = 0, 0
    if old[1] == 'FAILURE' then cancel = false end
  end
  local attempt, deaths = tonumber(tried) or math.max(before, 1), tonumber(killed)
  if tried == '' then deaths = died end
  if rerun > reruns or before > attempt or (before == attempt and died > deaths) then
    -- A job's next attempt is sent before this one is recorded, and may have begun. What this one
    -- has met belongs to the timeline all the same.
    local tries = state == 'RETRY' and rerun == reruns and redis.call('HGET', job, 'tries')
    if tries then
      tries = cjson.decode(tries)
      for _, try in ipairs(tries) do
        if tonumber(try.attempt) == attempt and not try.ended then
          try.state, try.ended, try.error = state, now, error
        end
      end
      redis.call('HSET', job, 'tries', cjson.encode(tries))
    end
    return 'newer'
  end
  if cancel and (state == 'STARTED' or state == 'RETRY') then return 'cancel' end
  if reruns > rerun then redis.call('HDEL', job, 'progress') end
  if old[4] and not cancel then redis.call('HDEL', job, 'cancel') end
  if state == 'STARTED' then
    if old[6] then
      local was = redis.call(
        'HMGET', job, 'queued', 'claimed', 'started', 'ended', 'worker', 'error', 'tries')
      local tries = was[7] and cjson.decode(was[7]) or {}
      tries[#tries + 1] = {
        state = old[1], attempt = old[2], queued = was[1], claimed = was[2], started = was[3],
        ended = was[4], worker = was[5], error = was[6]
      }
      while #tries > 20 do table.remove(tries, 1) end
      redis.call('HDEL', job, 'ended', 'error')
      redis.call('HSET', job, 'tries', cjson.encode(tries))
    end
    redis.call(
      'HSET', job, 'state', state, 'attempt', attempt, 'deaths', deaths,
      'queued', queued, 'claimed', claimed, 'started', now, 'worker', worker)
  else
    redis.call('HSET', job, 'state', state, 'attempt', attempt, 'deaths', deaths, 'ended', now)
    if error ~= '' then redis.call('HSET', job, 'error', error) end
  end
  if reruns > 0 then redis.call('HSET', job, 'reruns', reruns) end
  return tell(meta, job, text, seconds)
end

local answers = {}
for number = 1, #KEYS / 2 do
  local from = 10 * number - 9
  local done, answer = pcall(
    record, KEYS[2 * number - 1], KEYS[2 * number], unpack(ARGV, from, from + 9))
  -- What the server refuses of one job is nothing to the others.
  if not done and type(answer) ~= 'table' then answer = {err = answer} end
  answers[number] = answer
end
return answers
"""

RECORD = Text(_RECORD)
"""A worker tells how far jobs are. What must not happen is refused: see the answers."""

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
