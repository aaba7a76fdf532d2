-- One look at the log, and whether a write would succeed.
--
-- ARGV[4] retention, as retention.ts prints it   ARGV[5] its longest age, ms
-- ARGV[6] '1' to replace the retention that the log holds, '0' to set it only where there is none
--
-- Returns epochs, head, age of the running epoch, types with what was removed, retention, what a write said,
-- eviction policy, identity, dead branches, time, replicas in step
settle()

-- None of these changes anything, but each is refused as a real one would be.
local nothing = key('nothing')
local writes = {
  {'HSETNX', KEYS[1], 'format', '1'}, {'XADD', nothing, 'NOMKSTREAM', '*', 'e', ''}, {'RPUSHX', nothing, ''},
  {'ZADD', nothing, 'XX', '0', ''}, {'HDEL', nothing, ''}, {'ZREM', nothing, ''},
  {'PEXPIREAT', nothing, whole(now)}, {'LTRIM', nothing, '0', '0'}, {'XTRIM', nothing, 'MAXLEN', '0'},
}
local problem = ''
for _, write in ipairs(writes) do
  local answer = redis.pcall(unpack(write))
  if type(answer) == 'table' and answer.err then
    problem = write[1] .. ': ' .. answer.err
    break
  end
end

if problem == '' and retention ~= ARGV[4] and (ARGV[6] == '1' or not retention) then
  retention = ARGV[4]
  redis.call('HSET', KEYS[1], 'retention', retention, 'longest', ARGV[5])
end

-- Replicas confirm what they have once a second: one that is further behind hangs.
local replicas = 0
for lag in string.gmatch(type(replication) == 'string' and replication or '', 'state=online[^\r\n]*lag=(%d+)') do
  if tonumber(lag) <= 3 then replicas = replicas + 1 end
end

local memory = redis.pcall('INFO', 'memory')
local policy = type(memory) == 'string' and string.match(memory, 'maxmemory_policy:([%w-]+)') or ''

return {redis.call('LRANGE', key('epochs'), 0, -1), whole(head), math.max(0, now - began),
  redis.call('HGETALL', key('types')), retention or '', problem, policy, identity,
  redis.call('LRANGE', key('branches'), 0, -1), now, replicas}
