-- Records dead branches that the log does not know.
--
-- ARGV[4…] "<epoch> <parent> <last>"
settle()

local known = {}
for _, branch in ipairs(redis.call('LRANGE', key('branches'), 0, -1)) do
  known[string.match(branch, '^%S+')] = true
end
for _, record in ipairs(redis.call('LRANGE', key('epochs'), 0, -1)) do
  known[string.match(record, '^%S+')] = true
end
for i = 4, #ARGV do
  local name = string.match(ARGV[i], '^%S+')
  if not known[name] then
    known[name] = true
    redis.call('RPUSH', key('branches'), ARGV[i])
  end
end
redis.call('LTRIM', key('branches'), -1000, -1)
return 1
