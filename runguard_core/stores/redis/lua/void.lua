#!lua flags=allow-oom
-- epoch; call, settlement, at, reason; events
local id, settlement, at, reason = unpack(ARGV, 2, 5)
local row = row_of(id)
if not row then
  keep(id, {state = 'stone', ended = at})
  return {'CREATED'}
end
local was = row.state
if was == 'posted' then return {'POSTED'} end
if was == 'stone' then return {'EXISTS'} end
if was == 'voided' then return answer('EXISTS', row) end
settle(id, row, 'void', 'voided', {}, '0', at, reason)
keep(id, row)
redis.call('HSET', SETTLED, id, settlement)
say(ARGV[6])
return answer(was == 'assumed' and 'LATE' or 'CREATED', row)
