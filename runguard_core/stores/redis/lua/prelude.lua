-- What every verb shares; the keys are `_keys.py`'s, in its order.
--
-- Amounts are texts of whole numbers up to 2^63. They are added by Redis (HINCRBY, exact). To compare them they are made Lua numbers,
-- which are doubles, only where all have at most SAFE digits; else in two halves, each exact in a double. A verb looks at everything
-- before it writes anything, because a script that fails half way is not undone.
local META, ACCOUNT, DETAIL, SHOWN, SUMS, STANDING, REQUEST, SETTLED, PENDING, STARTED, ENTRY, EVENT, EVENTS, LATCH, OVERRIDE,
  OWNER = unpack(KEYS, 1, 16)
local HALF, SAFE, MOST = 1000000000, 14, '4611686018427387904'
local FIELDS = {'state', 'asked', 'quote', 'holds', 'lines', 'said', 'amounts', 'cost', 'ended', 'owner', 'token'}

if redis.call('HGET', META, 'epoch') ~= ARGV[1] then return {'LOST'} end

-- the upper and the lower nine digits of an amount, both with its sign
local function halves(text)
  local sign, digits = text:match('^(-?)(%d+)$')
  local high, low = tonumber(digits:sub(1, -10)) or 0, tonumber(digits:sub(-9))
  if sign == '-' then return -high, -low end
  return high, low
end

-- whether the whole is at least the sum of the parts
local function covers(whole, ...)
  local rest, is_safe = tonumber(whole), #whole <= SAFE
  for n = 1, select('#', ...) do
    local part = select(n, ...)
    rest, is_safe = rest - tonumber(part), is_safe and #part <= SAFE
  end
  if is_safe then return rest >= 0 end
  local high, low = halves(whole)
  for n = 1, select('#', ...) do
    local h, l = halves((select(n, ...)))
    high, low = high - h, low - l
  end
  return high + math.floor(low / HALF) >= 0
end

local function minus(a, b)
  if #a <= SAFE and #b <= SAFE then return string.format('%.0f', tonumber(a) - tonumber(b)) end
  local ah, al = halves(a)
  local bh, bl = halves(b)
  local high, low = ah - bh, al - bl
  local carry = math.floor(low / HALF)
  high, low = high + carry, low - carry * HALF
  if high < 0 and low > 0 then high, low = high + 1, low - HALF end -- both with the same sign
  if high == 0 then return low == 0 and '0' or string.format('%.0f', low) end
  return string.format('%.0f%09.0f', high, math.abs(low))
end

-- Redis knows no '-0'
local function negative(text) return text == '0' and '0' or '-' .. text end

local function add(field, amount)
  if amount ~= '0' then redis.call('HINCRBY', SUMS, field, amount) end
end

-- the sums of an account: posted, pending, assumed, leased
local function sums(account)
  local found = redis.call('HMGET', SUMS, account .. 'p', account .. 'n', account .. 'a', account .. 'l')
  return found[1] or '0', found[2] or '0', found[3] or '0', found[4] or '0'
end

-- a call as it stands: one text a call, its parts divided by |
local function row_of(id)
  local text = redis.call('HGET', STANDING, id)
  if not text then return nil end
  local row, n = {}, 0
  for part in (text .. '|'):gmatch('([^|]*)|') do
    n = n + 1
    row[FIELDS[n]] = part
  end
  return row
end

local function keep(id, row)
  local parts = {}
  for n, name in ipairs(FIELDS) do parts[n] = row[name] or '' end
  redis.call('HSET', STANDING, id, table.concat(parts, '|'))
end

-- "17=1000,18=20": accounts and amounts, in order
local function holds_of(row)
  local found = {}
  for account, amount in row.holds:gmatch('(%d+)=(%d+)') do found[#found + 1] = {account, amount} end
  return found
end

-- the number of an account and its sums, at the end of an answer
local function tell(found, account)
  found[#found + 1] = account
  for _, sum in ipairs({sums(account)}) do found[#found + 1] = sum end
end

-- an answer with the sums of every account of a call
local function answer(word, row)
  local found = {word}
  for _, hold in ipairs(holds_of(row)) do tell(found, hold[1]) end
  return found
end

-- the limit that readers should see, '' for none
local function show(account, limit)
  if limit == '' then
    redis.call('HDEL', SHOWN, account)
  elseif redis.call('HGET', SHOWN, account) ~= limit then
    redis.call('HSET', SHOWN, account, limit)
  end
end

-- the number of an account, which is opened on first sight, and its limit shown
local function account_of(key, detail, shown)
  local account = redis.call('HGET', ACCOUNT, key)
  if not account then
    account = string.format('%.0f', redis.call('HINCRBY', META, 'accounts', 1))
    redis.call('HSET', ACCOUNT, key, account)
    redis.call('HSET', DETAIL, account, detail)
  end
  show(account, shown)
  return account
end

-- a line of the book; its moves are "account:pending:posted:assumed", zeros at the end left out
local function line(id, row, kind, at, moves, cost, reason)
  local number = string.format('%.0f', redis.call('HINCRBY', META, 'lines', 1))
  redis.call('XADD', ENTRY, number .. '-0', 'call', id, 'kind', kind, 'at', at, 'moves', table.concat(moves, ','), 'cost', cost,
    'reason', reason)
  row.lines = row.lines == '' and number or row.lines .. ',' .. number
end

-- events as JSON: id, text, and where in KEYS its session's list is (0: nowhere); the same id twice is one event; how many
-- were new
local function say(events)
  local count = 0
  if events == '' then return count end
  for _, event in ipairs(cjson.decode(events)) do
    if redis.call('HSETNX', EVENT, event[1], event[2]) == 1 then
      local number = redis.call('HINCRBY', META, 'events', 1)
      redis.call('ZADD', EVENTS, number, event[1])
      if event[3] > 0 then redis.call('ZADD', KEYS[event[3]], number, event[1]) end
      count = count + 1
    end
  end
  return count
end

-- amounts by account: from JSON pairs of key and amount
local function actuals_of(pairs_json)
  local found, keys, given = {}, {}, cjson.decode(pairs_json)
  if #given == 0 then return found end
  for n, pair in ipairs(given) do keys[n] = pair[1] end
  for n, account in ipairs(redis.call('HMGET', ACCOUNT, unpack(keys))) do
    if account then found[account] = given[n][2] end
  end
  return found
end

-- Move every account of a call from what the book said to what the settlement says. False, and nothing is changed, when an
-- account would hold more than can be counted.
local function settle(id, row, kind, state, actuals, cost, at, reason)
  local was, moves, before, amounts = row.state, {}, {}, {}
  for amount in row.amounts:gmatch('%d+') do before[#before + 1] = amount end
  for n, hold in ipairs(holds_of(row)) do
    local actual, old = actuals[hold[1]] or '0', before[n] or '0'
    local move = {
      account = hold[1],
      pending = was == 'pending' and negative(hold[2]) or '0',
      posted = minus(actual, old),
      assumed = minus(state == 'assumed' and actual or '0', was == 'assumed' and old or '0'),
    }
    if not covers(MOST, redis.call('HGET', SUMS, hold[1] .. 'p') or '0', move.posted) then return false end
    moves[n], amounts[n] = move, actual
  end
  local told = {}
  for n, move in ipairs(moves) do
    add(move.account .. 'n', move.pending)
    add(move.account .. 'p', move.posted)
    add(move.account .. 'a', move.assumed)
    told[n] = table.concat({move.account, move.pending, move.posted, move.assumed}, ':')
  end
  line(id, row, kind, at, told, minus(cost == '' and '0' or cost, row.cost == '' and '0' or row.cost), reason)
  row.state, row.amounts, row.cost, row.ended = state, table.concat(amounts, ','), cost, at
  redis.call('ZREM', PENDING, id)
  return true
end

-- enter a call that is paid for: what it holds as "account=amount,..."; the lists it belongs to as places in KEYS
local function enter(id, row, holds, started, request, deadline, lists)
  local moves = {}
  row.state, row.holds, row.lines, row.amounts, row.cost = 'pending', holds, '', '', ''
  for n, hold in ipairs(holds_of(row)) do
    add(hold[1] .. 'n', hold[2])
    moves[n] = hold[1] .. ':' .. hold[2]
  end
  line(id, row, 'pending', started, moves, '0', '')
  keep(id, row)
  redis.call('HSET', REQUEST, id, request)
  redis.call('ZADD', PENDING, deadline, id)
  redis.call('ZADD', STARTED, started, id)
  for place in lists:gmatch('%d+') do redis.call('ZADD', KEYS[tonumber(place)], started, id) end
end

-- charge an unsettled call at its quote
local function assume(id, row, at)
  local actuals = {}
  for _, hold in ipairs(holds_of(row)) do actuals[hold[1]] = hold[2] end
  if settle(id, row, 'expire', 'assumed', actuals, row.quote, at, '') then keep(id, row) end
end

-- charge some of the calls that are overdue; their ids, by deadline
local function expire(now)
  local ids = redis.call('ZRANGEBYSCORE', PENDING, '-inf', now, 'LIMIT', 0, 100)
  for _, id in ipairs(ids) do assume(id, row_of(id), now) end
  return ids
end
