-- Accepts events, one after the other: one order, each id once. Each is by itself: everything of it that can fail is
-- asked for before its first write, and one that fails leaves nothing and takes no other with it.
--
-- ARGV[4] dedupe, ms     ARGV[5] most latest values               ARGV[6] most types
-- ARGV[7] channel        ARGV[8] most bytes announced             ARGV[9] how far created_at counts ahead of receipt, ms
-- ARGV[10] '1' if the caller waits for replicas
-- ARGV[11…] an event each, packed: digest of the id, 16 bytes; digest of the content, 6 bytes; created_at, µs; then
--   with their lengths type, <type>\n<entity> in the latest values or '', the same of the event that removes the
--   entity or ''; the rest is header line and body
--
-- Returns epoch, time, then for each event: accepted <sequence> | late <sequence> | duplicate <sequence> |
--   reused <sequence> (a duplicate with other content) | refused | error <what Redis said>
local most_types, waits = tonumber(ARGV[6]), ARGV[10] == '1'
local most_values, most_announced = tonumber(ARGV[5]), tonumber(ARGV[8])
local latest_time = (now + tonumber(ARGV[9])) * 1000
local keep = id_keep(ARGV[4])
local day = math.floor(now / day_ms)
local expiry = whole((day + 1) * day_ms + keep)
local types, values = key('types'), key('latest')
local times, order = key('latest:times'), key('latest:order')

-- What is asked for once for all: the streams of types that are there, and how many latest values.
local streams, value_count = {}, nil
local head_before = head

-- Whether a type is new, and its stream; no stream if it would be one type too many. What is no event may be one more.
local function look_at_type(name)
  if streams[name] then return false, streams[name] end
  local is_new = not redis.call('HGET', types, name)
  local most = most_types + (string.sub(name, 1, 6) == 'relay.' and 1 or 0)
  if is_new and redis.call('HLEN', types) >= most then return true end
  local stream = key('events:') .. name
  redis.call('XLEN', stream)
  return is_new, stream
end

local function forget(entities)
  if #entities == 0 then return end
  redis.call('HDEL', values, unpack(entities))
  redis.call('HDEL', times, unpack(entities))
  value_count = value_count - redis.call('ZREM', order, unpack(entities))
end

local function keep_latest(latest, removal, time, entry, sequence)
  redis.call('HSET', values, latest, entry)
  redis.call('HSET', times, latest, whole(time))
  value_count = value_count + redis.call('ZADD', order, sequence, latest)
  if latest == removal then
    local group, entity = string.match(latest, '^([^.]*%.)[^\n]*(\n.*)$')
    local older = {}
    for _, other in ipairs(redis.call('HKEYS', types)) do
      local held = other .. entity
      local at = held ~= latest and string.sub(other, 1, #group) == group
        and tonumber(redis.call('HGET', times, held))
      if at and at <= time then older[#older + 1] = held end
    end
    forget(older)
  end
  -- A limit that was lowered is reached in steps.
  local surplus = math.min(value_count - most_values, 1000)
  if surplus > 0 then forget(redis.call('ZRANGE', order, 0, surplus - 1)) end
end

local function accept(packed)
  local digest, content, created_at, name, latest, removal, rest =
    struct.unpack('>c16c6dI4c0I4c0I4c0', packed)
  local found = find_id(digest, keep)
  if found then
    settle()
    -- WAIT covers what its connection wrote, and everything before that: this changes nothing.
    if waits then redis.call('HSET', KEYS[1], 'head', whole(head)) end
    return (string.sub(found, 1, 6) == content and 'duplicate ' or 'reused ') .. string.sub(found, 7)
  end

  local is_new, stream = look_at_type(name)
  if not stream then
    settle()
    return 'refused'
  end
  local late, time = false, nil
  if latest ~= '' then
    time = math.min(created_at, latest_time)
    local held = redis.call('HMGET', times, latest, removal)
    late = (tonumber(held[1]) or time) > time or (tonumber(held[2]) or time) > time
    if not value_count then
      redis.call('HLEN', values)
      value_count = redis.call('ZCARD', order)
    end
  end
  settle()

  local sequence = whole(head + 1)
  local entry = '1 ' .. whole(now) .. (late and ' 1\n' or ' 0\n') .. string.sub(packed, rest)

  -- First what can still be refused, for want of memory say: then nothing is written.
  redis.call('XADD', stream, sequence .. '-0', 'e', entry)
  head = head + 1
  if is_new then redis.call('HSET', types, name, '0') end
  streams[name] = stream
  local bucket = id_key(day, id_suffix(digest))
  redis.call('HSET', bucket, digest, content .. sequence)
  redis.call('PEXPIREAT', bucket, expiry)
  if latest ~= '' and not late then keep_latest(latest, removal, time, entry, sequence) end
  return (late and 'late ' or 'accepted ') .. sequence, sequence, entry
end

local reply, announced = {'', now}, {}
for i = 11, #ARGV do
  local ok, answer, sequence, entry = pcall(accept, ARGV[i])
  if not ok then answer = 'error ' .. (type(answer) == 'table' and answer.err or tostring(answer)) end
  reply[#reply + 1] = answer
  if sequence then announced[#announced + 1] = {sequence, entry} end
end
reply[1] = epoch or ''
if head > head_before then redis.call('HSET', KEYS[1], 'head', whole(head)) end

-- The last calls, and such as cannot undo the rest: nodes find what was not announced.
for _, event in ipairs(announced) do
  local sequence, entry = event[1], event[2]
  redis.pcall('PUBLISH', ARGV[7], '1 ' .. epoch .. ' ' .. sequence .. '\n'
    .. (#entry <= most_announced and entry or ''))
end
return reply
