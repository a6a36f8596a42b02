#!lua flags=allow-oom
-- epoch; scope, state, latch; events. What a person has stopped only a person changes, while it lasts.
local known = redis.call('HGET', LATCH, ARGV[2])
local function has_ended()
  local until_ = cjson.decode(known:match('|(.*)$'))['until']
  return type(until_) == 'number' and until_ <= cjson.decode(ARGV[4])['since']
end
if not known or known:match('^[^|]*') ~= 'forced_open' or ARGV[3] == 'forced_open' or has_ended() then
  redis.call('HSET', LATCH, ARGV[2], ARGV[3] .. '|' .. ARGV[4])
end
redis.call('HINCRBY', META, 'breaker', 1)
say(ARGV[5])
return {'DONE'}
