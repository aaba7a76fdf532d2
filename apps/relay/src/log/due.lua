-- The types that hold entries past their retention. Takes no part in epochs, so that room can be made in a log that
-- is too full to begin one.
--
-- ARGV[4] dedupe, ms
--
-- Returns the types
if not rules then return {} end

-- Ids expire with the retention of their time. When it has grown, the expiry of those still there is put off: one
-- day's ids at a time, the oldest first.
local keep = id_keep(ARGV[4])
local kept, day = unpack(redis.call('HMGET', KEYS[1], 'kept', 'prolonging'))
kept, day = tonumber(kept), tonumber(day)
if kept ~= keep then
  if not kept or kept < keep then day = math.floor(math.max(born, now - (kept or now)) / day_ms) end
  redis.pcall('HSET', KEYS[1], 'kept', whole(keep), 'prolonging', day and whole(day) or '')
end
if day then
  local expiry = whole((day + 1) * day_ms + keep)
  for bucket = 0, buckets - 1 do redis.pcall('PEXPIREAT', id_key(day, ':' .. bucket), expiry) end
  redis.pcall('HSET', KEYS[1], 'prolonging', day < math.floor(now / day_ms) and whole(day + 1) or '')
end

local due = {}
for _, name in ipairs(redis.call('HKEYS', key('types'))) do
  local age, surplus = rule_of(name)
  local oldest = surplus <= 0 and redis.call('XRANGE', key('events:') .. name, '-', '+', 'COUNT', 1)[1]
  if surplus > 0 or (oldest and now - received(oldest[2][2]) > age) then due[#due + 1] = name end
end
return due
