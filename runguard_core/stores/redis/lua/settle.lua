#!lua flags=allow-oom
-- epoch; owner, offset, deadline; what it keeps as JSON [key, amount]; the accounts of its verbs. Then calls that begin and end in this
-- batch: how many; their sums as JSON [account, posted, assumed, change of the lease]; limits to show as JSON [account, limit]; lists as
-- JSON [place in KEYS, words]; events; columns of (call, request), (call, settlement), (start, call), of each list (start, call), and of
-- head and tail of how each stands, kind, end, start, moves, cost, reason. Then the other verbs.
local owner_id, offset, deadline = unpack(ARGV, 2, 4)
local count, first = tonumber(ARGV[7]), 12
local owner, claims, touched = owner_of(owner_id), {}, {}
if not owner then return {'GONE'} end

-- some words of ARGV at the end of a command, a thousand at a time
local function in_parts(command, key, at, words)
  for from = at, at + words - 1, 1000 do
    redis.call(command, key, unpack(ARGV, from, math.min(from + 999, at + words - 1)))
  end
end

-- whether the book knows any of the whole calls
local function is_any_known()
  for from = 0, count - 1, 1000 do
    local ids = {}
    for n = from, math.min(from + 999, count - 1) do ids[#ids + 1] = ARGV[first + 2 * n] end
    for _, found in ipairs(redis.call('HMGET', STANDING, unpack(ids))) do
      if found then return true end
    end
  end
  return false
end

-- write the whole calls; where the other verbs begin
local function write_wholes(lists)
  in_parts('HSET', REQUEST, first, 2 * count)
  in_parts('HSET', SETTLED, first + 2 * count, 2 * count)
  in_parts('ZADD', STARTED, first + 4 * count, 2 * count)
  local at = first + 6 * count
  for _, list in ipairs(lists) do
    in_parts('ZADD', KEYS[list[1]], at, list[2])
    at = at + list[2]
  end
  local number, standings = redis.call('HINCRBY', META, 'lines', 2 * count) - 2 * count + 1, {}
  for n = 0, count - 1 do
    local id, head, tail, kind, ended, started, moves, cost, reason = ARGV[first + 2 * n], unpack(ARGV, at, at + 7)
    local name = string.format('%.0f', number)
    redis.call('XADD', ENTRY, name .. '-0', 'call', id, 'kind', kind, 'at', ended, 'moves', moves, 'cost', cost, 'reason', reason,
      'from', started)
    standings[#standings + 1] = id
    standings[#standings + 1] = head .. name .. tail
    if #standings == 1000 or n == count - 1 then
      redis.call('HSET', STANDING, unpack(standings))
      standings = {}
    end
    number, at = number + 2, at + 8
  end
  say(ARGV[11])
end

for _, claim in ipairs(cjson.decode(ARGV[5])) do
  local account = redis.call('HGET', ACCOUNT, claim[1])
  if account then claims[account] = claim[2] end
end
if not covers(owner.applied, offset) then
  local sums_of, lists, words = cjson.decode(ARGV[8]), cjson.decode(ARGV[10]), 14 * count
  for _, list in ipairs(lists) do words = words + list[2] end
  local verbs = verbs_from(first + words)
  local wrong = objection(verbs)
  if wrong then return wrong end
  if is_any_known() then return {'KNOWN'} end
  for _, row in ipairs(sums_of) do
    if not covers(MOST, redis.call('HGET', SUMS, row[1] .. 'p') or '0', row[2]) then return {'RANGE'} end
  end
  local change = apply(owner_id, verbs, numbers_of(ARGV[6]))
  if count > 0 then
    write_wholes(lists)
    for _, row in ipairs(sums_of) do
      add(row[1] .. 'p', row[2])
      add(row[1] .. 'a', row[3])
      change[row[1]] = plus(change[row[1]] or '0', row[4])
    end
    for _, row in ipairs(cjson.decode(ARGV[9])) do show(row[1], row[2]) end
  end
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
for account in pairs(touched) do
  tell(found, account)
  found[#found + 1] = redis.call('HGET', LEASE, account) or '0'
end
return found
