#!lua
-- epoch; call, asked, quote, started, request, deadline, owner; holds as JSON [key, detail, amount, limit, shown]; events;
-- how many of the keys behind the book's are lists of calls (of the session, of the run)
local id, asked, quote, started, request, deadline, owner = unpack(ARGV, 2, 8)
local row = row_of(id)
if row then
  if row.state == 'stone' then return {'STONE'} end
  if row.asked ~= asked then return {'CONFLICT'} end
  if row.state == 'voided' then return {'VOIDED'} end
  return answer('EXISTS', row)
end
expire(started)

local holds, keys, accounts, shown = cjson.decode(ARGV[9]), {}, {}, {}
for n, hold in ipairs(holds) do keys[n] = hold[1] end
if #keys > 0 then accounts = redis.call('HMGET', ACCOUNT, unpack(keys)) end

-- the account of a hold, opened on first sight
local function account_of(n)
  local account = accounts[n] or redis.call('HGET', ACCOUNT, holds[n][1])
  if not account then
    account = string.format('%.0f', redis.call('HINCRBY', META, 'accounts', 1))
    redis.call('HSET', ACCOUNT, holds[n][1], account)
    redis.call('HSET', DETAIL, account, holds[n][2])
  end
  local limit = holds[n][5]
  if limit == '' then
    redis.call('HDEL', SHOWN, account)
  elseif redis.call('HGET', SHOWN, account) ~= limit then
    redis.call('HSET', SHOWN, account, limit)
  end
  return account
end

for n, hold in ipairs(holds) do
  local posted, pending, assumed, leased = '0', '0', '0', '0'
  if accounts[n] then posted, pending, assumed, leased = sums(accounts[n]) end
  if hold[4] ~= '' and not covers(hold[4], posted, pending, leased, hold[3]) then
    return {'REFUSED', n, account_of(n), posted, pending, assumed, leased}
  end
  if not covers(MOST, posted, pending, hold[3]) then return {'RANGE', n} end
end

local parts, moves = {}, {}
for n, hold in ipairs(holds) do
  local account = account_of(n)
  add(account .. 'n', hold[3])
  parts[n], moves[n] = account .. '=' .. hold[3], account .. ':' .. hold[3]
end
row = {state = 'pending', asked = asked, quote = quote, holds = table.concat(parts, ','), lines = '', owner = owner}
line(id, row, 'pending', started, moves, '0', '')
keep(id, row)
redis.call('HSET', REQUEST, id, request)
redis.call('ZADD', PENDING, deadline, id)
redis.call('ZADD', STARTED, started, id)
for n = 17, 16 + ARGV[11] do redis.call('ZADD', KEYS[n], started, id) end
say(ARGV[10])
return answer('CREATED', row)
