-- Which of some ids the log does not know.
--
-- ARGV[4] dedupe, ms   ARGV[5…] digests of ids
--
-- Returns 1 for each that is unknown, else 0
settle()

local keep, reply = id_keep(ARGV[4]), {}
for i = 5, #ARGV do reply[#reply + 1] = find_id(ARGV[i], keep) and 0 or 1 end
return reply
