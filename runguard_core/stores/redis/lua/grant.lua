#!lua
-- epoch; owner, a token of this very grant, now; wants as JSON [key, detail, need, want, limit, shown]. A slice is an eighth of what is
-- available where that lies between need and want; without a limit it is what is needed. The last grant may be asked
-- for again; an earlier one that is asked for again is given twice, and what the owner does not claim returns with its next settle.
local owner_id, token, now = unpack(ARGV, 2, 4)
local owner, wants, amounts = owner_of(owner_id), cjson.decode(ARGV[5]), {}
if not owner then return {'GONE'} end
local is_new = owner.granted ~= token
if is_new then
  expire(now)
  for n, want in ipairs(wants) do
    local posted, pending, assumed, leased = '0', '0', '0', '0'
    local account = redis.call('HGET', ACCOUNT, want[1])
    if account then posted, pending, assumed, leased = sums(account) end
    amounts[n] = want[3]
    if want[5] ~= '' then
      if not covers(want[5], posted, pending, leased, want[3]) then
        return {'REFUSED', n, account_of(want[1], want[2], want[6]), posted, pending, assumed, leased}
      end
      local available = minus(minus(minus(want[5], posted), pending), leased)
      amounts[n] = most(want[3], least(want[4], eighth(available)))
    end
    if not covers(MOST, posted, pending, leased, amounts[n]) then return {'RANGE', n} end
  end
else
  for amount in owner.got:gmatch('%d+') do amounts[#amounts + 1] = amount end
end

local found = {'DONE'}
for n, want in ipairs(wants) do
  local account, amount = account_of(want[1], want[2], want[6]), amounts[n] or '0'
  if is_new and amount ~= '0' then
    add(account .. 'l', amount)
    redis.call('HINCRBY', LEASE, account, amount)
  end
  found[#found + 1] = amount
  tell(found, account)
end
if is_new then
  owner.granted, owner.got = token, table.concat(amounts, ',')
  keep_owner(owner_id, owner)
end
return found
