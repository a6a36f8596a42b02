#!lua flags=allow-oom
-- epoch; account key, override; events
redis.call('HSET', OVERRIDE, ARGV[2], ARGV[3])
redis.call('HINCRBY', META, 'breaker', 1)
say(ARGV[4])
return {'DONE'}
