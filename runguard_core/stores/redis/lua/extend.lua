#!lua flags=allow-oom
-- epoch; deadline; calls
local count = 0
for n = 3, #ARGV do
  if redis.call('ZSCORE', PENDING, ARGV[n]) then
    redis.call('ZADD', PENDING, 'GT', ARGV[2], ARGV[n])
    count = count + 1
  end
end
return {'DONE', count}
