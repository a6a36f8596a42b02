#!lua flags=no-writes
-- epoch; calls. The number of the last line, then of each call: how it stands, its request, its settlement.
local found = {'DONE', redis.call('HGET', META, 'lines') or '0'}
if #ARGV == 1 then return found end
local ids = {unpack(ARGV, 2)}
for _, key in ipairs({STANDING, REQUEST, SETTLED}) do found[#found + 1] = redis.call('HMGET', key, unpack(ids)) end
return found
