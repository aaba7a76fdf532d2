-- A page of the latest values, the lowest sequence first.
--
-- ARGV[4] after this sequence   ARGV[5] most values   ARGV[6] enough bytes: the page may end there
--
-- Returns epochs, head, 1 if there are more, then sequence and bytes of each
settle()

local most = tonumber(ARGV[5])
local places = redis.call('ZRANGEBYSCORE', key('latest:order'), '(' .. ARGV[4], '+inf', 'WITHSCORES',
  'LIMIT', 0, most + 1)
local reply, bytes, taken = {redis.call('LRANGE', key('epochs'), 0, -1), whole(head), 0}, 0, 0
for i = 1, #places, 2 do
  if taken == most or bytes >= tonumber(ARGV[6]) then
    reply[3] = 1
    break
  end
  local entry = redis.call('HGET', key('latest'), places[i])
  if not entry then return redis.error_reply('SHARMO_DAMAGED a latest value is missing') end
  reply[#reply + 1] = whole(places[i + 1])
  reply[#reply + 1] = entry
  bytes, taken = bytes + #entry, taken + 1
end
return reply
