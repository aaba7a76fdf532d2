-- Entries of (after, through] of all types, with epoch, head and trims of the same moment.
--
-- ARGV[4] after   ARGV[5] through   ARGV[6] most sequences   ARGV[7] enough bytes: the answer may end there
--
-- Returns epoch, head, types with what was removed, through, then sequence and bytes of each entry
settle()

local after = tonumber(ARGV[4])
local through = math.max(after, math.min(tonumber(ARGV[5]), after + tonumber(ARGV[6]), head))
local names = redis.call('HKEYS', key('types'))

-- In growing steps, so that large entries end the answer early and small ones cost few reads.
local found, bytes, reached, step = {}, 0, after, 8
while reached < through and bytes < tonumber(ARGV[7]) do
  local to = math.min(reached + step, through)
  for _, name in ipairs(names) do
    local items = redis.call('XRANGE', key('events:') .. name, whole(reached + 1), whole(to))
    for _, item in ipairs(items) do
      local entry = item[2][2]
      found[tonumber(string.match(item[1], '^%d+')) - after] = entry
      bytes = bytes + #entry
    end
  end
  reached, step = to, step * 2
end

local reply = {epoch, whole(head), redis.call('HGETALL', key('types')), whole(reached)}
for place = 1, reached - after do
  if found[place] then
    reply[#reply + 1] = whole(after + place)
    reply[#reply + 1] = found[place]
  end
end
return reply
