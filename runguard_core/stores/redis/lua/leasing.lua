-- What the verbs of leases share, behind prelude.lua: an owner's row, its leases, and a batch of its verbs.
local LEASE, OPEN = KEYS[17], KEYS[18]

local function flip(text)
  if text:sub(1, 1) == '-' then return text:sub(2) end
  return negative(text)
end

local function plus(a, b) return minus(a, flip(b)) end

local function least(a, b) return covers(b, a) and a or b end

local function most(a, b) return covers(a, b) and a or b end

-- an eighth, rounded down
local function eighth(text)
  local high, low = halves(text)
  local whole = math.floor(high / 8)
  return plus(string.format('%.0f', whole) .. '000000000', string.format('%.0f', math.floor(((high - whole * 8) * HALF + low) / 8)))
end

-- an owner: how far its journal is applied, its deadline, its last grant and what it got by it, who it is (JSON)
local function owner_of(id)
  local text = redis.call('HGET', OWNER, id)
  if not text then return nil end
  local applied, deadline, granted, got, about = text:match('^([^|]*)|([^|]*)|([^|]*)|([^|]*)|(.*)$')
  return {applied = applied, deadline = deadline, granted = granted, got = got, about = about}
end

local function keep_owner(id, owner)
  redis.call('HSET', OWNER, id, table.concat({owner.applied, owner.deadline, owner.granted, owner.got, owner.about}, '|'))
end

-- Verbs, nine words each. R: call, asked, quote, started, request, holds, lists, events. P, V, A (post, void, assume): call, said,
-- settlement, amounts, cost, at, reason, events. Accounts are named by their places in the batch's list.
local function verbs_from(first)
  local found = {}
  for at = first, #ARGV, 9 do
    local word, id, a, b, c, d, e, f, events = unpack(ARGV, at, at + 8)
    if word == 'R' then
      found[#found + 1] = {word = word, id = id, asked = a, quote = b, started = c, request = d, holds = e, lists = f,
        events = events}
    else
      found[#found + 1] = {word = word, id = id, said = a, settlement = b, amounts = c, cost = d, at = e, reason = f,
        events = events}
    end
  end
  return found
end

local BECOMES = {P = 'posted', V = 'voided', A = 'assumed'}

-- why a verb cannot be said of a call that is closed or known already; nothing when it says what the book says
local function objection_to(verb, row)
  if verb.word == 'R' then
    if row.state == 'stone' then return 'STONE' end
    if row.asked ~= verb.asked then return 'CONFLICT' end
    return row.state == 'voided' and 'VOIDED' or nil
  end
  if verb.word == 'A' or (verb.word == 'V' and row.state == 'voided') then return nil end
  if row.state == 'voided' or row.state == 'stone' then return 'VOIDED' end
  if verb.word == 'V' then return 'POSTED' end
  if row.state == 'posted' and row.said == verb.said then return nil end
  return 'CONFLICT'
end

-- The first contradiction between a batch and the book, before anything is written. Verbs that the book has are marked as known.
local function objection(verbs)
  local will = {}
  for _, verb in ipairs(verbs) do
    local row = will[verb.id] or row_of(verb.id)
    if row and (verb.word == 'R' or row.state ~= 'pending') then
      local word = objection_to(verb, row)
      if word then return {word, verb.id} end
      verb.known = true
    elseif verb.word == 'R' then
      will[verb.id] = {state = 'pending', asked = verb.asked}
    elseif row then
      row.state, row.said = BECOMES[verb.word], verb.said
      will[verb.id] = row
    else
      return {'UNKNOWN', verb.id}
    end
  end
  return nil
end

-- numbers of a batch's accounts, from JSON [key, detail, shown]; without a detail none is opened, with '-' the limit stays
local function numbers_of(accounts_json)
  local found = {}
  for n, account in ipairs(cjson.decode(accounts_json)) do
    if account[2] ~= '' then
      found[n] = account_of(account[1], account[2], account[3])
    else
      found[n] = redis.call('HGET', ACCOUNT, account[1])
    end
  end
  return found
end

-- Write a batch; how each account's lease changes by it, as texts by account.
local function apply(owner_id, verbs, numbers)
  local change = {}
  local function moves(account, amount) change[account] = plus(change[account] or '0', amount) end
  for _, verb in ipairs(verbs) do
    if not verb.known and verb.word == 'R' then
      local row = {asked = verb.asked, quote = verb.quote, owner = owner_id}
      local holds = verb.holds:gsub('(%d+)=', function(place) return numbers[tonumber(place)] .. '=' end)
      enter(verb.id, row, holds, verb.started, verb.request, '+inf', verb.lists)
      redis.call('SADD', OPEN, verb.id)
      for _, hold in ipairs(holds_of(row)) do moves(hold[1], flip(hold[2])) end
      say(verb.events)
    elseif not verb.known then
      local row, actuals, kind = row_of(verb.id), {}, {P = 'post', V = 'void', A = 'expire'}
      for place, amount in verb.amounts:gmatch('(%d+)=(%d+)') do
        local account = numbers[tonumber(place)]
        if account then actuals[account] = amount end
      end
      settle(verb.id, row, kind[verb.word], BECOMES[verb.word], actuals, verb.cost, verb.at, verb.reason)
      row.said = verb.said
      keep(verb.id, row)
      redis.call('HSET', SETTLED, verb.id, verb.settlement)
      redis.call('SREM', OPEN, verb.id)
      for _, hold in ipairs(holds_of(row)) do moves(hold[1], minus(hold[2], actuals[hold[1]] or '0')) end
      say(verb.events)
    end
  end
  return change
end

-- what an owner has leased, by account, and what a batch leaves of it: never less than nothing
local function rests_of(change)
  local before, after, flat = {}, {}, redis.call('HGETALL', LEASE)
  for n = 1, #flat, 2 do before[flat[n]] = flat[n + 1] end
  for account, rest in pairs(before) do after[account] = rest end
  for account, amount in pairs(change) do after[account] = most('0', plus(before[account] or '0', amount)) end
  return before, after
end

-- leave so much of a lease
local function set_rest(account, before, rest)
  add(account .. 'l', minus(rest, before or '0'))
  if rest == '0' then redis.call('HDEL', LEASE, account) else redis.call('HSET', LEASE, account, rest) end
end
