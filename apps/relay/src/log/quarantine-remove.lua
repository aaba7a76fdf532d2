-- ARGV[4] id
--
-- Returns 1 if it was there
local bodies = key('quarantine:bodies')
redis.call('ZCARD', key('quarantine:order'))
local size = redis.call('HSTRLEN', bodies, ARGV[4])
if redis.call('HDEL', key('quarantine'), ARGV[4]) == 0 then return 0 end
redis.call('HDEL', bodies, ARGV[4])
redis.call('ZREM', key('quarantine:order'), ARGV[4])
redis.call('HINCRBY', KEYS[1], 'quarantined', -size)
return 1
