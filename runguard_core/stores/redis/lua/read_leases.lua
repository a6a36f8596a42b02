#!lua flags=no-writes
-- epoch; owners, whose leases are the keys behind the book's. Whether they are all there are; by account what the owners have, and what
-- the account says.
if redis.call('HLEN', OWNER) ~= #ARGV - 1 then return {'CHANGED'} end
local found, totals = {'DONE'}, {}
for n = 2, #ARGV do
  if redis.call('HEXISTS', OWNER, ARGV[n]) == 0 then return {'CHANGED'} end
  local flat = redis.call('HGETALL', KEYS[15 + n])
  for at = 1, #flat, 2 do totals[flat[at]] = minus(totals[flat[at]] or '0', negative(flat[at + 1])) end
end
for account, total in pairs(totals) do
  found[#found + 1] = account
  found[#found + 1] = total
  found[#found + 1] = ({sums(account)})[4]
end
return found
