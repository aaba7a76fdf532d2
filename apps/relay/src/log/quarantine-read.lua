-- ARGV[4] an id, or '' for those that came last   ARGV[5] at most this many
--
-- Returns id, what is kept of it, and body of each (quarantine-put.lua)
local ids = {ARGV[4]}
if ARGV[4] == '' then ids = redis.call('ZREVRANGE', key('quarantine:order'), 0, tonumber(ARGV[5]) - 1) end
local reply = {}
for _, id in ipairs(ids) do
  local item, body = redis.call('HGET', key('quarantine'), id), redis.call('HGET', key('quarantine:bodies'), id)
  if item and body then
    reply[#reply + 1] = id
    reply[#reply + 1] = item
    reply[#reply + 1] = body
  end
end
return reply
