#!lua flags=no-writes
-- epoch; keys of accounts. Their four sums.
local found = {'DONE'}
for n = 2, #ARGV do
  local account = redis.call('HGET', ACCOUNT, ARGV[n])
  found[n] = account and {sums(account)} or {'0', '0', '0', '0'}
end
return found
