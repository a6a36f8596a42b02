#!lua
-- epoch; call, asked, quote, started, request, deadline, owner; holds as JSON [key, detail, amount, limit, shown]; events; places in
-- KEYS of the lists of calls that it belongs to. Behind the book's keys comes the set of the owner's open calls.
local id, asked, quote, started, request, deadline, owner = unpack(ARGV, 2, 8)
local row = row_of(id)
if row then
  if row.state == 'stone' then return {'STONE'} end
  if row.asked ~= asked then return {'CONFLICT'} end
  if row.state == 'voided' then return {'VOIDED'} end
  return answer('EXISTS', row)
end
expire(started)

local holds = cjson.decode(ARGV[9])
for n, hold in ipairs(holds) do
  local posted, pending, assumed, leased = '0', '0', '0', '0'
  local account = redis.call('HGET', ACCOUNT, hold[1])
  if account then posted, pending, assumed, leased = sums(account) end
  if hold[4] ~= '' and not covers(hold[4], posted, pending, leased, hold[3]) then
    return {'REFUSED', n, account_of(hold[1], hold[2], hold[5]), posted, pending, assumed, leased}
  end
  if not covers(MOST, posted, pending, hold[3]) then return {'RANGE', n} end
end

local parts = {}
for n, hold in ipairs(holds) do parts[n] = account_of(hold[1], hold[2], hold[5]) .. '=' .. hold[3] end
if redis.call('HEXISTS', OWNER, owner) == 1 then -- an owner of leases: its calls are closed by it, or when it is recovered
  deadline = '+inf'
  redis.call('SADD', KEYS[17], id)
end
row = {asked = asked, quote = quote, owner = owner}
enter(id, row, table.concat(parts, ','), started, request, deadline, ARGV[11])
say(ARGV[10])
return answer('CREATED', row)
