-- Keeps a delivery that could not become an event, or counts it if it is kept already.
--
-- ARGV[4] id   ARGV[5] reason   ARGV[6] message   ARGV[7] body   ARGV[8] most items   ARGV[9] most bytes of bodies
--
--   {sharmo}:quarantine         hash   id -> "<first at> <last at> <count> <size> <reason> <message>"
--   {sharmo}:quarantine:bodies  hash   id -> the bytes as received
--   {sharmo}:quarantine:order   zset   id by time of its last arrival, in µs
-- and their total size in the log's record.
local id, body = ARGV[4], ARGV[7]
local order, bodies = key('quarantine:order'), key('quarantine:bodies')

local item = redis.call('HGET', key('quarantine'), id)
redis.call('HLEN', bodies)
-- No two arrivals have the same place, even if the clock stands still or is put back.
local newest = redis.call('ZRANGE', order, -1, -1, 'WITHSCORES')[2]
local arrival = math.max(clock[1] * 1000000 + clock[2], (tonumber(newest) or 0) + 1)
settle()

if item then
  local first, _, count, rest = string.match(item, '^(%d+) (%d+) (%d+) (.*)$')
  redis.call('HSET', key('quarantine'), id, first .. ' ' .. whole(now) .. ' ' .. whole(count + 1) .. ' ' .. rest)
  redis.call('ZADD', order, whole(arrival), id)
  return 0
end

redis.call('HSET', key('quarantine'), id, whole(now) .. ' ' .. whole(now) .. ' 1 ' .. #body .. ' ' .. ARGV[5]
  .. ' ' .. ARGV[6])
redis.call('HSET', bodies, id, body)
redis.call('ZADD', order, whole(arrival), id)
local size = redis.call('HINCRBY', KEYS[1], 'quarantined', #body)
local count = redis.call('ZCARD', order)
while count > 1 and (count > tonumber(ARGV[8]) or size > tonumber(ARGV[9])) do
  local oldest = redis.call('ZRANGE', order, 0, 0)[1]
  size = redis.call('HINCRBY', KEYS[1], 'quarantined', -redis.call('HSTRLEN', bodies, oldest))
  redis.call('HDEL', key('quarantine'), oldest)
  redis.call('HDEL', bodies, oldest)
  redis.call('ZREM', order, oldest)
  count = count - 1
end
return 1
