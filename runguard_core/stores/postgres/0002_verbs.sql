-- readable_by: 1
-- One function a verb. What every verb keeps to, so that none waits for another in a circle: first the id of a call that is new
-- (an advisory lock), then rows of calls, then new accounts by key, then accounts by id; nothing is locked after that.
CREATE TYPE answer AS (
  outcome text, place integer, keys text[], posted bigint[], pending bigint[], assumed bigint[], leased bigint[]
);

-- An outcome and the balances of accounts, in their order.
CREATE FUNCTION answer_of(p_outcome text, p_accounts bigint[]) RETURNS answer LANGUAGE sql STABLE AS $$
  SELECT p_outcome, NULL::integer, array_agg(a.key ORDER BY u.place), array_agg(a.posted ORDER BY u.place),
    array_agg(a.pending ORDER BY u.place), array_agg(a.assumed ORDER BY u.place), array_agg(a.leased ORDER BY u.place)
  FROM unnest(p_accounts) WITH ORDINALITY u(id, place) JOIN account a ON a.id = u.id
$$;

CREATE FUNCTION outcome(p_outcome text) RETURNS answer LANGUAGE sql IMMUTABLE AS $$
  SELECT p_outcome, NULL::integer, NULL::text[], NULL::bigint[], NULL::bigint[], NULL::bigint[], NULL::bigint[]
$$;

-- how many were new: one id is one event
CREATE FUNCTION say(p_events jsonb) RETURNS bigint LANGUAGE sql AS $$
  WITH said AS (
    INSERT INTO event (id, kind, at, severity, message, app, session, run, agent, feature, call_id, facts)
    SELECT id, kind, at, severity, message, app, session, run, agent, feature, call_id, facts
    FROM jsonb_populate_recordset(NULL::event, p_events)
    ON CONFLICT (id) DO NOTHING
    RETURNING id
  )
  SELECT count(*) FROM said
$$;

CREATE FUNCTION lock_accounts(p_accounts bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM account WHERE id = ANY (p_accounts) ORDER BY id FOR UPDATE;
END $$;

-- The accounts of holds, in their order; those that are new are opened, and told apart.
CREATE FUNCTION open_accounts(p_holds jsonb, OUT ids bigint[], OUT opened bigint[]) LANGUAGE plpgsql AS $$
DECLARE
  v_keys text[] := ARRAY(SELECT value->>'key' FROM jsonb_array_elements(p_holds) WITH ORDINALITY ORDER BY ordinality);
BEGIN
  ids := ARRAY(SELECT a.id FROM unnest(v_keys) WITH ORDINALITY k(key, place) LEFT JOIN account a ON a.key = k.key ORDER BY k.place);
  opened := '{}';
  IF array_position(ids, NULL) IS NULL THEN
    RETURN;
  END IF;
  WITH made AS (
    INSERT INTO account (key, unit, title, window_start, window_end)
    SELECT DISTINCT ON (h.key) h.key, h.unit, h.title, h.window_start, h.window_end
    FROM jsonb_populate_recordset(NULL::account, p_holds) h WHERE h.key = ANY (v_keys) ORDER BY h.key
    ON CONFLICT DO NOTHING RETURNING id
  ) SELECT coalesce(array_agg(id), '{}') INTO opened FROM made;
  ids := ARRAY(SELECT a.id FROM unnest(v_keys) WITH ORDINALITY k(key, place) JOIN account a ON a.key = k.key ORDER BY k.place);
END $$;

-- Overdue holds: their calls are locked and their holds gone when this returns; calls that somebody else has in hand are left
-- for another time, those of processes that spend leases for `recover`, and those of other ledgers of a fleet for these.
CREATE FUNCTION take_overdue(p_now bigint, p_most integer) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
  v_calls bigint[] := ARRAY(
    SELECT c.number FROM hold h JOIN call c ON c.number = h.call
    WHERE h.expires_at <= p_now AND c.state = 'pending' AND c.source IS NULL
      AND NOT EXISTS (SELECT FROM lease_owner o WHERE o.id = h.process)
    ORDER BY h.expires_at, c.id LIMIT p_most FOR UPDATE OF c SKIP LOCKED);
BEGIN
  IF v_calls = '{}' THEN
    RETURN v_calls;
  END IF;
  -- asked again under the lock: the deadline may have been moved since
  WITH gone AS (DELETE FROM hold WHERE call = ANY (v_calls) AND expires_at <= p_now RETURNING call, expires_at)
  SELECT array_agg(gone.call ORDER BY gone.expires_at, c.id) INTO v_calls FROM gone JOIN call c ON c.number = gone.call;
  RETURN coalesce(v_calls, '{}');
END $$;

CREATE FUNCTION accounts_of(p_calls bigint[]) RETURNS bigint[] LANGUAGE sql STABLE AS $$
  SELECT coalesce(array_agg(DISTINCT u.id), '{}') FROM call c, unnest(c.accounts) u(id) WHERE c.number = ANY (p_calls)
$$;

-- Calls that nobody settled are charged at their quotes, in every account. Calls and accounts are locked, holds are gone.
CREATE FUNCTION assume(p_calls bigint[], p_now bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE account a SET pending = a.pending - m.amount, posted = a.posted + m.amount, assumed = a.assumed + m.amount
  FROM (
    SELECT u.id, sum(u.amount) AS amount FROM call c, unnest(c.accounts, c.held) u(id, amount)
    WHERE c.number = ANY (p_calls) GROUP BY u.id
  ) m WHERE a.id = m.id;
  INSERT INTO entry (call, kind, at, cost_nanos, was_pending, posted, assumed)
  SELECT c.number, 'expire', p_now, coalesce(c.quote_nanos, 0), true, c.held, c.held
  FROM unnest(p_calls) WITH ORDINALITY u(number, place) JOIN call c ON c.number = u.number ORDER BY u.place;
  UPDATE call SET state = 'assumed', ended_at = p_now, outcome = 'unknown', amounts = held, cost_nanos = quote_nanos,
    certainty = CASE WHEN quote_nanos IS NULL THEN 'unpriced' ELSE 'assumed' END, from_cache = false, result_chars = 0,
    note = 'the hold expired before the call was settled'
  WHERE number = ANY (p_calls);
END $$;

-- A reserve of an id that is known.
CREATE FUNCTION reserved_before(p_call jsonb, p_holds jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
  v_known call;
  v_new call := jsonb_populate_record(NULL::call, p_call);
  v_holds jsonb;
BEGIN
  SELECT * INTO v_known FROM call WHERE id = v_new.id;
  SELECT coalesce(jsonb_agg(jsonb_build_array(a.key, u.amount) ORDER BY u.place), '[]') INTO v_holds
  FROM unnest(v_known.accounts, v_known.held) WITH ORDINALITY u(id, amount, place) JOIN account a ON a.id = u.id;
  IF v_holds <> (SELECT coalesce(jsonb_agg(jsonb_build_array(value->'key', value->'amount') ORDER BY ordinality), '[]')
                 FROM jsonb_array_elements(p_holds) WITH ORDINALITY)
    OR (v_known.kind, v_known.name, v_known.quote_nanos, v_known.session, v_known.run)
      IS DISTINCT FROM (v_new.kind, v_new.name, v_new.quote_nanos, v_new.session, v_new.run)
  THEN
    RETURN outcome('conflict');
  ELSIF v_known.state = 'voided' THEN
    RETURN outcome('voided');
  END IF;
  RETURN answer_of('exists', v_known.accounts);
END $$;

CREATE FUNCTION insert_call(p_call jsonb, p_accounts bigint[], p_held bigint[]) RETURNS bigint LANGUAGE sql AS $$
  INSERT INTO call (
    id, kind, name, state, started_at, app, feature, team, owner, agent, instance, "user", session, run, turn, loop, release,
    tags, provider, account, key_fingerprint, quote_nanos, quote_is_bound, max_output_tokens, signature, parts, policy_hash,
    unverified, accounts, held
  ) SELECT
    id, kind, name, 'pending', started_at, app, feature, team, owner, agent, instance, "user", session, run, turn, loop, release,
    tags, provider, account, key_fingerprint, quote_nanos, quote_is_bound, max_output_tokens, signature, parts, policy_hash,
    unverified, p_accounts, p_held
  FROM jsonb_populate_record(NULL::call, p_call)
  RETURNING number
$$;

-- The place of the first hold, in the caller's order, that does not fit; `p_amount` names what is asked for.
CREATE FUNCTION first_refused(p_accounts bigint[], p_holds jsonb, p_amount text) RETURNS integer LANGUAGE sql STABLE AS $$
  SELECT min(h.place)::integer
  FROM jsonb_array_elements(p_holds) WITH ORDINALITY h(value, place) JOIN account a ON a.id = p_accounts[h.place]
  WHERE (h.value->>p_amount)::bigint > (h.value->>'limit')::numeric - a.posted - a.pending - a.leased
$$;

-- Nothing is set aside; of the accounts that were opened only those up to the one that refuses stay.
CREATE FUNCTION refuse(p_accounts bigint[], p_opened bigint[], p_holds jsonb, p_place integer)
RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
  v_answer answer;
BEGIN
  UPDATE account SET shown_limit = (p_holds->(p_place - 1)->>'shown')::bigint WHERE id = p_accounts[p_place];
  DELETE FROM account WHERE id = ANY (p_opened) AND id <> ALL (p_accounts[1:p_place]);
  v_answer := answer_of('refused', p_accounts[p_place:p_place]);
  v_answer.place := p_place;
  RETURN v_answer;
END $$;

CREATE FUNCTION reserve(p_call jsonb, p_holds jsonb, p_expires_at bigint, p_process text, p_events jsonb)
RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
  v_at bigint := p_call->>'started_at';
  v_accounts bigint[];
  v_opened bigint[];
  v_held bigint[];
  v_shown bigint[];
  v_overdue bigint[];
  v_place integer;
  v_number bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(p_call->>'id', 0));
  IF EXISTS (SELECT FROM call WHERE id = p_call->>'id') THEN
    RETURN reserved_before(p_call, p_holds);
  ELSIF EXISTS (SELECT FROM tombstone WHERE call_id = p_call->>'id') THEN
    RETURN outcome('tombstone');
  END IF;
  SELECT array_agg(h.amount ORDER BY h.place), array_agg(h.shown ORDER BY h.place) INTO v_held, v_shown
  FROM ROWS FROM (jsonb_to_recordset(p_holds) AS (amount bigint, shown bigint)) WITH ORDINALITY h(amount, shown, place);
  v_overdue := take_overdue(v_at, 100);
  SELECT * INTO v_accounts, v_opened FROM open_accounts(p_holds);
  IF v_overdue = '{}' THEN
    PERFORM lock_accounts(v_accounts);
  ELSE
    PERFORM lock_accounts(v_accounts || accounts_of(v_overdue));
    PERFORM assume(v_overdue, v_at);
  END IF;
  v_place := first_refused(v_accounts, p_holds, 'amount');
  IF v_place IS NOT NULL THEN
    RETURN refuse(v_accounts, v_opened, p_holds, v_place);
  END IF;
  UPDATE account a SET pending = a.pending + h.amount, shown_limit = h.shown
  FROM (
    SELECT id, sum(amount) AS amount, (array_agg(shown ORDER BY place DESC))[1] AS shown
    FROM unnest(v_accounts, v_held, v_shown) WITH ORDINALITY u(id, amount, shown, place) GROUP BY id
  ) h WHERE a.id = h.id;
  v_number := insert_call(p_call, v_accounts, coalesce(v_held, '{}'));
  INSERT INTO hold VALUES (v_number, p_expires_at, p_process);
  INSERT INTO entry (call, kind, at, was_pending) VALUES (v_number, 'pending', v_at, false);
  IF p_events IS NOT NULL THEN
    PERFORM say(p_events);
  END IF;
  RETURN answer_of('created', v_accounts);
END $$;

-- What a settlement names, by account key, as it was given.
CREATE FUNCTION named_amounts(p_call call) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT coalesce(jsonb_object_agg(a.key, u.amount), '{}') || coalesce(p_call.other_amounts::jsonb, '{}')
  FROM unnest(p_call.accounts, p_call.amounts) u(id, amount) JOIN account a ON a.id = u.id WHERE u.amount IS NOT NULL
$$;

-- Move every account of a call (whose row is locked) from what the book said to what the settlement says.
CREATE FUNCTION settle_call(p_call call, p_kind text, p_state text, p_settled jsonb, p_amounts jsonb, p_reason text, p_token text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v call := jsonb_populate_record(NULL::call, p_settled);
  v_keys text[];
  v_amounts bigint[];
  v_posted bigint[];
  v_assumed bigint[];
BEGIN
  PERFORM lock_accounts(p_call.accounts);
  SELECT array_agg(a.key), array_agg((p_amounts->>a.key)::bigint ORDER BY u.place) INTO v_keys, v_amounts
  FROM unnest(p_call.accounts) WITH ORDINALITY u(id, place) JOIN account a ON a.id = u.id;
  SELECT array_agg(coalesce(u.now, 0) - coalesce(u.old, 0) ORDER BY u.place),
    array_agg(CASE WHEN p_state = 'assumed' THEN coalesce(u.now, 0) ELSE 0 END
      - CASE WHEN p_call.state = 'assumed' THEN coalesce(u.old, 0) ELSE 0 END ORDER BY u.place)
      FILTER (WHERE 'assumed' IN (p_state, p_call.state))
  INTO v_posted, v_assumed
  FROM unnest(p_call.accounts, v_amounts, p_call.amounts) WITH ORDINALITY u(id, now, old, place);
  UPDATE account a SET posted = a.posted + m.posted, pending = a.pending - m.held, assumed = a.assumed + m.assumed
  FROM (
    SELECT id, sum(posted) AS posted, CASE WHEN p_call.state = 'pending' THEN sum(held) ELSE 0 END AS held,
      coalesce(sum(assumed), 0) AS assumed
    FROM unnest(p_call.accounts, v_posted, p_call.held, v_assumed) u(id, posted, held, assumed) GROUP BY id
  ) m WHERE a.id = m.id;
  UPDATE call SET
    state = p_state, ended_at = v.ended_at, outcome = v.outcome, cost_nanos = v.cost_nanos, certainty = v.certainty,
    input_tokens = v.input_tokens, output_tokens = v.output_tokens, cache_read_input_tokens = v.cache_read_input_tokens,
    cache_creation_input_tokens = v.cache_creation_input_tokens,
    cache_creation_1h_input_tokens = v.cache_creation_1h_input_tokens, reasoning_output_tokens = v.reasoning_output_tokens,
    input_audio_tokens = v.input_audio_tokens, cache_audio_read_tokens = v.cache_audio_read_tokens,
    output_audio_tokens = v.output_audio_tokens, input_image_tokens = v.input_image_tokens,
    output_image_tokens = v.output_image_tokens, web_search_count = v.web_search_count,
    duration_seconds = v.duration_seconds, model_answered = v.model_answered, provider_request_id = v.provider_request_id,
    error = v.error, error_status = v.error_status, attempt_count = v.attempt_count, from_cache = v.from_cache,
    tool_names = v.tool_names, result_hash = v.result_hash, result_chars = v.result_chars, note = v.note,
    amounts = coalesce(v_amounts, '{}'), other_amounts = nullif(p_amounts - coalesce(v_keys, '{}'), '{}')::text
  WHERE number = p_call.number;
  IF p_call.state = 'pending' THEN
    DELETE FROM hold WHERE call = p_call.number;
  END IF;
  INSERT INTO entry (call, kind, at, cost_nanos, was_pending, reason, posted, assumed, token)
  VALUES (p_call.number, p_kind, v.ended_at, coalesce(v.cost_nanos, 0) - coalesce(p_call.cost_nanos, 0),
    p_call.state = 'pending', nullif(p_reason, ''), v_posted, v_assumed, p_token);
END $$;

CREATE FUNCTION unknown_call(p_id text) RETURNS answer LANGUAGE sql STABLE AS $$
  SELECT outcome(CASE WHEN EXISTS (SELECT FROM tombstone WHERE call_id = p_id) THEN 'voided' ELSE 'unknown' END)
$$;

CREATE FUNCTION post(p_id text, p_settled jsonb, p_amounts jsonb, p_events jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
  v_call call;
BEGIN
  SELECT * INTO v_call FROM call WHERE id = p_id FOR UPDATE;
  IF NOT FOUND THEN
    RETURN unknown_call(p_id);
  ELSIF v_call.state = 'voided' THEN
    RETURN outcome('voided');
  ELSIF v_call.state = 'posted' THEN
    IF v_call.cost_nanos IS DISTINCT FROM (p_settled->>'cost_nanos')::bigint
      OR v_call.certainty <> p_settled->>'certainty' OR named_amounts(v_call) <> p_amounts
    THEN
      RETURN outcome('conflict');
    END IF;
    RETURN answer_of('exists', v_call.accounts);
  END IF;
  PERFORM settle_call(v_call, 'post', 'posted', p_settled, p_amounts, p_settled->>'note', NULL);
  IF p_events IS NOT NULL THEN
    PERFORM say(p_events);
  END IF;
  RETURN answer_of(CASE v_call.state WHEN 'assumed' THEN 'late' ELSE 'created' END, v_call.accounts);
END $$;

CREATE FUNCTION void(p_id text, p_settled jsonb, p_events jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
  v_call call;
BEGIN
  SELECT * INTO v_call FROM call WHERE id = p_id FOR UPDATE;
  IF NOT FOUND THEN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_id, 0));  -- its reserve may be on the way
    SELECT * INTO v_call FROM call WHERE id = p_id FOR UPDATE;
  END IF;
  IF v_call.id IS NULL THEN
    INSERT INTO tombstone VALUES (p_id, (p_settled->>'ended_at')::bigint) ON CONFLICT DO NOTHING;
    RETURN outcome(CASE WHEN FOUND THEN 'created' ELSE 'exists' END);
  ELSIF v_call.state = 'posted' THEN
    RETURN outcome('posted');
  ELSIF v_call.state = 'voided' THEN
    RETURN answer_of('exists', v_call.accounts);
  END IF;
  PERFORM settle_call(
    v_call, 'void', 'voided', p_settled, '{}', coalesce(nullif(p_settled->>'note', ''), p_settled->>'error'), NULL);
  IF p_events IS NOT NULL THEN
    PERFORM say(p_events);
  END IF;
  RETURN answer_of(CASE v_call.state WHEN 'assumed' THEN 'late' ELSE 'created' END, v_call.accounts);
END $$;

-- `p_token` is the client's name of this correction: said again, it changes nothing.
CREATE FUNCTION adjust(p_id text, p_settled jsonb, p_amounts jsonb, p_reason text, p_token text)
RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
  v_call call;
BEGIN
  SELECT * INTO v_call FROM call WHERE id = p_id FOR UPDATE;
  IF NOT FOUND THEN
    RETURN unknown_call(p_id);
  ELSIF v_call.state = 'pending' THEN
    RETURN outcome('pending');
  ELSIF NOT EXISTS (SELECT FROM entry WHERE token = p_token) THEN
    PERFORM settle_call(v_call, 'adjust', 'posted', p_settled, p_amounts, p_reason, p_token);
  END IF;
  RETURN answer_of('created', v_call.accounts);
END $$;

CREATE FUNCTION extend(p_ids text[], p_expires_at bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  v_calls bigint[] := ARRAY(SELECT number FROM call WHERE id = ANY (p_ids) AND state = 'pending' ORDER BY number FOR UPDATE);
BEGIN
  UPDATE hold SET expires_at = greatest(expires_at, p_expires_at) WHERE call = ANY (v_calls);
  RETURN cardinality(v_calls);
END $$;

-- Some overdue holds, settled: by deadline and id.
CREATE FUNCTION expire(p_now bigint, p_most integer) RETURNS SETOF call LANGUAGE plpgsql AS $$
DECLARE
  v_overdue bigint[] := take_overdue(p_now, p_most);
BEGIN
  IF v_overdue <> '{}' THEN
    PERFORM lock_accounts(accounts_of(v_overdue));
    PERFORM assume(v_overdue, p_now);
    RETURN QUERY SELECT c.* FROM unnest(v_overdue) WITH ORDINALITY u(number, place) JOIN call c ON c.number = u.number ORDER BY u.place;
  END IF;
END $$;
