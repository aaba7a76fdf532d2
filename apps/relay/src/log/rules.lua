-- Retention as the log holds it: for each type the age, and perhaps the number of entries, that it keeps.
local rules = retention and cjson.decode(retention)

-- The rule of a type, and how many entries are beyond its number.
local function rule_of(name)
  -- What is no event is kept as long as any event may be.
  if string.sub(name, 1, 6) == 'relay.' then return tonumber(longest) or rules.default[1], 0 end
  local rule = rules.types[name] or rules.default
  return rule[1], rule[2] and redis.call('XLEN', key('events:') .. name) - rule[2] or 0
end

local function received(entry) return tonumber(string.match(entry, '^%d+ (%d+) ')) or now end
