#!lua flags=allow-oom
-- epoch; owner, offset, deadline; what it keeps as JSON [key, amount]; the batch's accounts; its verbs
local owner_id, offset, deadline = unpack(ARGV, 2, 4)
local owner, claims, touched = owner_of(owner_id), {}, {}
if not owner then return {'GONE'} end
for _, claim in ipairs(cjson.decode(ARGV[5])) do
  local account = redis.call('HGET', ACCOUNT, claim[1])
  if account then claims[account] = claim[2] end
end
if not covers(owner.applied, offset) then
  local verbs = verbs_from(7)
  local wrong = objection(verbs)
  if wrong then return wrong end
  local change = apply(owner_id, verbs, numbers_of(ARGV[6]))
  local before, after = rests_of(change)
  for account, rest in pairs(after) do
    local kept = least(rest, claims[account] or '0')
    if kept ~= (before[account] or '0') then set_rest(account, before[account], kept) end
  end
  for account in pairs(change) do touched[account] = true end
  owner.applied, owner.deadline = offset, most(owner.deadline, deadline)
  keep_owner(owner_id, owner)
end
for account in pairs(claims) do touched[account] = true end
local found = {'DONE'}
for account in pairs(touched) do tell(found, account) end
return found
