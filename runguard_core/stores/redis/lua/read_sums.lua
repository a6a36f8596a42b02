#!lua flags=no-writes
-- epoch; accounts. The number of the last line, then of each account: its four sums and the limit last seen.
local found = {'DONE', redis.call('HGET', META, 'lines') or '0'}
for n = 2, #ARGV do
  local posted, pending, assumed, leased = sums(ARGV[n])
  found[n + 1] = {posted, pending, assumed, leased, redis.call('HGET', SHOWN, ARGV[n])}
end
return found
