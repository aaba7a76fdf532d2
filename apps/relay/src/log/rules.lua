-- Retention as the log holds it: for each type the age, and perhaps the number of entries, that it keeps.
local rules = retention and cjson.decode(retention)

-- The rule of a type, and how many entries are beyond its number.
local function rule_of(name)
  local rule = rules.types[name] or rules.default
  return rule[1], rule[2] and redis.call('XLEN', key('events:') .. name) - rule[2] or 0
end

local function received(entry) return tonumber(string.match(entry, '^%d+ (%d+) ')) or now end
