-- The stored event of an id.
--
-- ARGV[4] digest of the id   ARGV[5] dedupe, ms
--
-- Returns sequence, bytes | nothing if the id is unknown or its event was removed
settle()

local found = find_id(ARGV[4], id_keep(ARGV[5]))
if not found then return {} end
local sequence = string.sub(found, 7)
for _, name in ipairs(redis.call('HKEYS', key('types'))) do
  local item = redis.call('XRANGE', key('events:') .. name, sequence, sequence)[1]
  if item then return {sequence, item[2][2]} end
end
return {}
