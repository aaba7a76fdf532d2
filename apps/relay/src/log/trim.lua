-- Removes entries of a type that are past its retention, the oldest first. Takes no part in epochs (see due.lua).
--
-- ARGV[4] type   ARGV[5] at most this many
--
-- Returns how many went
if not rules then return 0 end

local stream, limit = key('events:') .. ARGV[4], tonumber(ARGV[5])
local age, surplus = rule_of(ARGV[4])
local gone, last, from, at_end = 0, nil, '-', false
while gone < limit and not at_end do
  -- Few at once: they may be large.
  local items = redis.call('XRANGE', stream, from, '+', 'COUNT', math.min(32, limit - gone))
  at_end = #items == 0
  for _, item in ipairs(items) do
    at_end = gone >= surplus and now - received(item[2][2]) <= age
    if at_end then break end
    gone, last = gone + 1, string.match(item[1], '^%d+')
  end
  from = last and '(' .. last .. '-0'
end
if gone > 0 then
  redis.call('XTRIM', stream, 'MINID', whole(tonumber(last) + 1))
  redis.call('HSET', key('types'), ARGV[4], last)
end
return gone
