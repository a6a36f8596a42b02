#!lua flags=no-writes
-- epoch. A number that differs after every change of a latch or an override.
return {'DONE', redis.call('HGET', META, 'breaker') or '0'}
