-- Every script begins with this: it opens the log, and can tell whether it is still the one the caller knows.
--
-- KEYS[1] the log's record, `{sharmo}:log`; every other key has its prefix, and so its slot in a Cluster
-- ARGV[1] the epoch the caller believes in, or ''
-- ARGV[2] the highest sequence it knows of that epoch
-- ARGV[3] a fresh random name, should a new epoch have to begin
--
--   {sharmo}:log                hash     format, identity, epoch, began, head, born, retention, longest, …
--   {sharmo}:epochs             list     "<epoch> <first>", the running one last
--   {sharmo}:branches           list     "<epoch> <parent> <last>", dead ones that nodes recorded
--   {sharmo}:types              hash     type -> highest sequence removed of it
--   {sharmo}:events:<type>      stream   <sequence>-0 -> the entry's bytes in one field
--   {sharmo}:ids:<day>:<n>      hash     digest of an id -> digest of its content, sequence    (ids.lua)
--   {sharmo}:latest             hash     <type>\n<entity> -> the newest entry's bytes
--   {sharmo}:latest:times       hash     <type>\n<entity> -> the time that made it the newest
--   {sharmo}:latest:order       zset     <type>\n<entity> by sequence
--   {sharmo}:quarantine(:…)     see quarantine-put.lua
local prefix = string.sub(KEYS[1], 1, -4)
local function key(name) return prefix .. name end

-- Lua would print numbers from 10^14 on with an exponent.
local function whole(number) return string.format('%.0f', number) end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local format, owner, epoch, began, head, born, longest, retention = unpack(redis.call('HMGET', KEYS[1],
  'format', 'identity', 'epoch', 'began', 'head', 'born', 'longest', 'retention'))
if format and format ~= '1' then return redis.error_reply('SHARMO_FORMAT ' .. format) end
if not format and redis.call('EXISTS', KEYS[1], key('epochs'), key('types'), key('latest')) > 0 then
  return redis.error_reply('SHARMO_FOREIGN the record of the log is missing, and there are keys of one')
end
if format and not (epoch and tonumber(head) and tonumber(born)) then
  return redis.error_reply('SHARMO_DAMAGED the record of the log is incomplete')
end
head, born = tonumber(head) or 0, tonumber(born) or now
began = tonumber(began) or now

-- Changes at every failover and restart. '' where it is not told or has no meaning; `state` then says so.
local replication = redis.pcall('INFO', 'replication')
local identity = type(replication) == 'string' and string.match(replication, 'master_replid:(%x*[1-9a-f]%x*)')
  or ''

-- Begins a new epoch unless this is the log the caller knows. Comes before a number is given out and before an
-- answer is; where writes fail it raises the error, with nothing written.
local function settle()
  local behind = ARGV[1] == epoch and tonumber(ARGV[2]) > head
  if format and owner == identity and not behind then return end
  redis.call('LLEN', key('epochs'))
  redis.call('HSET', KEYS[1], 'format', '1', 'identity', identity, 'epoch', ARGV[3], 'began', whole(now),
    'head', whole(head), 'born', whole(born))
  redis.call('RPUSH', key('epochs'), ARGV[3] .. ' ' .. whole(head + 1))
  redis.call('LTRIM', key('epochs'), -1000, -1)
  format, owner, epoch, began = '1', identity, ARGV[3], now
end
