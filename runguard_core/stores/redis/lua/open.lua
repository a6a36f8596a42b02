#!lua
-- The only verb without an epoch. A fresh epoch; schema and readable_by of this program; whether a book may be made where none is.
local META = KEYS[1]
if redis.call('HGET', META, 'epoch') then
  return {'FOUND', unpack(redis.call('HMGET', META, 'epoch', 'schema', 'readable_by'))}
end
if ARGV[4] == '0' then return {'MISSING'} end
redis.call('HSET', META, 'epoch', ARGV[1], 'schema', ARGV[2], 'readable_by', ARGV[3])
return {'MADE', ARGV[1], ARGV[2], ARGV[3]}
