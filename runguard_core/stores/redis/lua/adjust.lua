#!lua flags=allow-oom
-- epoch; call, said, settlement, amounts as JSON [key, amount], cost, at, reason; a token of this very adjustment
local id, said, settlement, amounts, cost, at, reason, token = unpack(ARGV, 2, 9)
local row = row_of(id)
if not row then return {'UNKNOWN'} end
if row.state == 'stone' then return {'VOIDED'} end
if row.state == 'pending' then return {'PENDING'} end
if row.token == token then return answer('EXISTS', row) end
if not settle(id, row, 'adjust', 'posted', actuals_of(amounts), cost, at, reason) then return {'RANGE'} end
row.said, row.token = said, token
keep(id, row)
redis.call('HSET', SETTLED, id, settlement)
return answer('CREATED', row)
