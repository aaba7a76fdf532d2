-- Accepts an event: one order, each id once. Everything that can fail is asked for before the first write.
--
-- ARGV[4] type           ARGV[5] digest of the id, 16 bytes       ARGV[6] digest of the content, 6 bytes
-- ARGV[7] created_at, µs ARGV[8] <type>\n<entity> in the latest values, or ''
-- ARGV[9] the same of the event that removes the entity, or ''    ARGV[10] header line    ARGV[11] body
-- ARGV[12] dedupe, ms    ARGV[13] most latest values   ARGV[14] most types   ARGV[15] channel
-- ARGV[16] most bytes announced   ARGV[17] how far created_at counts ahead of receipt, ms
-- ARGV[18] '1' if the caller waits for replicas
--
-- Returns accepted, epoch, sequence, time, late | duplicate, sequence, same content, epoch | refused
local name, digest, content, latest, removal = ARGV[4], ARGV[5], ARGV[6], ARGV[8], ARGV[9]

local keep = id_keep(ARGV[12])
local found = find_id(digest, keep)
if found then
  settle()
  -- WAIT covers what its connection wrote, and everything before that: this changes nothing.
  if ARGV[18] == '1' then redis.call('HSET', KEYS[1], 'head', whole(head)) end
  return {'duplicate', string.sub(found, 7), string.sub(found, 1, 6) == content and 1 or 0, epoch}
end

local is_new = not redis.call('HGET', key('types'), name)
if is_new and redis.call('HLEN', key('types')) >= tonumber(ARGV[14]) then
  settle()
  return {'refused'}
end

local late, time = false, nil
if latest ~= '' then
  time = math.min(tonumber(ARGV[7]), (now + tonumber(ARGV[17])) * 1000)
  local times = redis.call('HMGET', key('latest:times'), latest, removal)
  late = (tonumber(times[1]) or time) > time or (tonumber(times[2]) or time) > time
  redis.call('HLEN', key('latest'))
  redis.call('ZCARD', key('latest:order'))
end
redis.call('XLEN', key('events:') .. name)
settle()

head = head + 1
local sequence = whole(head)
local entry = '1 ' .. whole(now) .. (late and ' 1\n' or ' 0\n') .. ARGV[10] .. '\n' .. ARGV[11]

-- First what can still be refused, for want of memory say: then nothing is written.
redis.call('XADD', key('events:') .. name, sequence .. '-0', 'e', entry)
redis.call('HSET', KEYS[1], 'head', sequence)
if is_new then redis.call('HSET', key('types'), name, '0') end

local day = math.floor(now / day_ms)
local bucket = id_key(day, id_suffix(digest))
redis.call('HSET', bucket, digest, content .. sequence)
redis.call('PEXPIREAT', bucket, whole((day + 1) * day_ms + keep))

local function forget(entities)
  if #entities == 0 then return end
  redis.call('HDEL', key('latest'), unpack(entities))
  redis.call('HDEL', key('latest:times'), unpack(entities))
  redis.call('ZREM', key('latest:order'), unpack(entities))
end

if latest ~= '' and not late then
  redis.call('HSET', key('latest'), latest, entry)
  redis.call('HSET', key('latest:times'), latest, whole(time))
  redis.call('ZADD', key('latest:order'), sequence, latest)
  if latest == removal then
    local group, entity = string.match(latest, '^([^.]*%.)[^\n]*(\n.*)$')
    local older = {}
    for _, other in ipairs(redis.call('HKEYS', key('types'))) do
      local held = other .. entity
      local at = held ~= latest and string.sub(other, 1, #group) == group
        and tonumber(redis.call('HGET', key('latest:times'), held))
      if at and at <= time then older[#older + 1] = held end
    end
    forget(older)
  end
  -- A limit that was lowered is reached in steps.
  local surplus = math.min(redis.call('ZCARD', key('latest:order')) - tonumber(ARGV[13]), 1000)
  if surplus > 0 then forget(redis.call('ZRANGE', key('latest:order'), 0, surplus - 1)) end
end

-- The last call, and one that cannot undo the rest: nodes find what was not announced.
redis.pcall('PUBLISH', ARGV[15], '1 ' .. epoch .. ' ' .. sequence .. '\n'
  .. (#entry <= tonumber(ARGV[16]) and entry or ''))
return {'accepted', epoch, sequence, now, late and 1 or 0}
