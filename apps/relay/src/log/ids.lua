-- The index of ids: small hashes, one slice for each day of receipt. At 100,000 events a day a hash holds about 50,
-- and so stays one compact block of memory.
local day_ms, buckets = 86400000, 2048

local function id_suffix(digest)
  local high, low = string.byte(digest, 1, 2)
  return ':' .. (high * 256 + low) % buckets
end

local function id_key(day, suffix) return key('ids:') .. whole(day) .. suffix end

-- How long ids are kept: as the caller wishes, and as long as any event may be stored.
local function id_keep(dedupe) return math.max(tonumber(dedupe), tonumber(longest) or 0) end

-- What is kept of an id. Newest days first: most duplicates are retries. One day more than today, since after a
-- failover the clock may stand behind what it was.
local function find_id(digest, keep)
  local today, suffix = math.floor(now / day_ms), id_suffix(digest)
  local first = math.max(math.floor((now - keep) / day_ms), math.floor(born / day_ms))
  for day = today + 1, math.min(first, today), -1 do
    local value = redis.call('HGET', id_key(day, suffix), digest)
    if value then return value end
  end
end
