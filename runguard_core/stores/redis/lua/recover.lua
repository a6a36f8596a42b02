#!lua flags=allow-oom
-- epoch; owner, offset, now, whether its journal is lost, the id of the line that charges its leases then, why; the batch's accounts;
-- its verbs. Answers with the calls that are assumed.
local owner_id, offset, now, is_lost, line_id, reason = unpack(ARGV, 2, 7)
local owner, change = owner_of(owner_id), {}
if not owner then return {'DONE'} end
if not covers(owner.applied, offset) then
  local verbs = verbs_from(9)
  local wrong = objection(verbs)
  if wrong then return wrong end
  change = apply(owner_id, verbs, numbers_of(ARGV[8]))
end
local before, after = rests_of(change)
local moves = {}
for account, rest in pairs(after) do
  if is_lost == '1' and rest ~= '0' then
    add(account .. 'p', rest)
    add(account .. 'a', rest)
    moves[#moves + 1] = table.concat({account, '0', rest, rest}, ':')
  end
  set_rest(account, before[account], '0')
end
if #moves > 0 then
  table.sort(moves)
  local row = row_of(line_id) or {state = 'stone', lines = ''}
  line(line_id, row, 'expire', now, moves, '0', reason)
  keep(line_id, row)
end
local found, ids = {'DONE'}, redis.call('SMEMBERS', OPEN)
table.sort(ids)
for _, id in ipairs(ids) do
  local row = row_of(id)
  if row and row.state == 'pending' then
    assume(id, row, now)
    found[#found + 1] = id
  end
end
redis.call('DEL', LEASE, OPEN)
redis.call('HDEL', OWNER, owner_id)
return found
