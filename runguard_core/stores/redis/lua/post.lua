#!lua flags=allow-oom
-- epoch; call, said, settlement, amounts as JSON [key, amount], cost, at, reason; events
local id, said, settlement, amounts, cost, at, reason = unpack(ARGV, 2, 8)
local row = row_of(id)
if not row then return {'UNKNOWN'} end
local was = row.state
if was == 'stone' or was == 'voided' then return {'VOIDED'} end
if was == 'posted' then
  if row.said ~= said then return {'CONFLICT'} end
  return answer('EXISTS', row)
end
if not settle(id, row, 'post', 'posted', actuals_of(amounts), cost, at, reason) then return {'RANGE'} end
row.said = said
keep(id, row)
redis.call('HSET', SETTLED, id, settlement)
say(ARGV[9])
return answer(was == 'assumed' and 'LATE' or 'CREATED', row)
