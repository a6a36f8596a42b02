#!lua flags=allow-oom
-- epoch; scope; events
local there = redis.call('HDEL', LATCH, ARGV[2])
redis.call('HINCRBY', META, 'breaker', 1)
say(ARGV[3])
return {'DONE', there}
