-- readable_by: 1
-- Slices of accounts that processes spend in memory. The row of the owner is locked before anything else.
CREATE FUNCTION enlist(p_owner jsonb) RETURNS void LANGUAGE sql AS $$
  INSERT INTO lease_owner (id, host, boot_id, journal, applied, deadline)
  SELECT id, host, boot_id, journal, applied, deadline FROM jsonb_populate_record(NULL::lease_owner, p_owner)
  ON CONFLICT (id) DO UPDATE SET boot_id = excluded.boot_id, journal = excluded.journal, applied = excluded.applied,
    deadline = excluded.deadline WHERE lease_owner.journal <> excluded.journal
$$;

-- A slice of every account or none. `granted` is in the order of the wants; `place` names the first that does not fit.
CREATE FUNCTION lease_slices(p_owner text, p_wants jsonb, p_now bigint, OUT answer answer, OUT granted bigint[])
LANGUAGE plpgsql AS $$
DECLARE
  v_accounts bigint[];
  v_opened bigint[];
  v_overdue bigint[];
  v_place integer;
BEGIN
  PERFORM 1 FROM lease_owner WHERE id = p_owner FOR UPDATE;
  IF NOT FOUND THEN
    answer := outcome('lost');
    RETURN;
  END IF;
  v_overdue := take_overdue(p_now, 100);
  SELECT * INTO v_accounts, v_opened FROM open_accounts(p_wants);
  PERFORM lock_accounts(v_accounts || accounts_of(v_overdue));
  PERFORM assume(v_overdue, p_now);
  v_place := first_refused(v_accounts, p_wants, 'need');
  IF v_place IS NOT NULL THEN
    answer := refuse(v_accounts, v_opened, p_wants, v_place);
    RETURN;
  END IF;
  SELECT array_agg(greatest(w.need, least(w.want, div(w."limit"::numeric - a.posted - a.pending - a.leased, 8)))::bigint ORDER BY w.place)
  INTO granted
  FROM ROWS FROM (jsonb_to_recordset(p_wants) AS (need bigint, want bigint, "limit" bigint))
    WITH ORDINALITY w(need, want, "limit", place) JOIN account a ON a.id = v_accounts[w.place];
  UPDATE account a SET leased = a.leased + w.amount, shown_limit = coalesce(w.shown, a.shown_limit)
  FROM (
    SELECT v_accounts[place] AS id, granted[place] AS amount, shown
    FROM ROWS FROM (jsonb_to_recordset(p_wants) AS (shown bigint)) WITH ORDINALITY u(shown, place)
  ) w WHERE a.id = w.id;
  INSERT INTO lease (owner, account, rest) SELECT p_owner, u.id, u.amount FROM unnest(v_accounts, granted) u(id, amount)
  ON CONFLICT (owner, account) DO UPDATE SET rest = lease.rest + excluded.rest;
  answer := answer_of('created', v_accounts);
END $$;

-- A verb contradicts the book: nothing of its batch is applied.
CREATE FUNCTION contradict(p_what text, p_id text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'RG001', MESSAGE = p_what, DETAIL = p_id;
END $$;

-- Enter calls that leases have paid for, those that have ended with their ends; `o_ids` and `o_amounts`: what they take out of leases.
-- Calls that the book has already are not entered; their ids are `o_known`.
CREATE FUNCTION enter_calls(
  p_owner text, p_calls jsonb, p_pending jsonb, OUT o_ids bigint[], OUT o_amounts bigint[], OUT o_known text[]
) LANGUAGE plpgsql AS $$
DECLARE
  v_numbers bigint[];
  v_id text;
BEGIN
  SELECT t.call_id INTO v_id FROM jsonb_array_elements(p_calls) c JOIN tombstone t ON t.call_id = c.value->>'id' LIMIT 1;
  IF v_id IS NOT NULL THEN
    PERFORM contradict('voided', v_id);
  END IF;
  WITH made AS (
    INSERT INTO call (
      started_at, ended_at, quote_nanos, cost_nanos, duration_seconds, input_tokens, output_tokens, cache_read_input_tokens,
      cache_creation_input_tokens, cache_creation_1h_input_tokens, reasoning_output_tokens, input_audio_tokens,
      cache_audio_read_tokens, output_audio_tokens, input_image_tokens, output_image_tokens, web_search_count, result_chars,
      max_output_tokens, turn, loop, error_status, attempt_count, quote_is_bound, unverified, from_cache, id, kind, name, state,
      app, feature, team, owner, agent, instance, "user", session, run, release, tags, provider, account, key_fingerprint,
      signature, parts, policy_hash, outcome, certainty, model_answered, provider_request_id, error, tool_names, result_hash,
      note, accounts, held, amounts, other_amounts
    ) SELECT
      started_at, ended_at, quote_nanos, cost_nanos, duration_seconds, input_tokens, output_tokens, cache_read_input_tokens,
      cache_creation_input_tokens, cache_creation_1h_input_tokens, reasoning_output_tokens, input_audio_tokens,
      cache_audio_read_tokens, output_audio_tokens, input_image_tokens, output_image_tokens, web_search_count, result_chars,
      max_output_tokens, turn, loop, error_status, attempt_count, quote_is_bound, unverified, from_cache, id, kind, name, state,
      app, feature, team, owner, agent, instance, "user", session, run, release, tags, provider, account, key_fingerprint,
      signature, parts, policy_hash, outcome, certainty, model_answered, provider_request_id, error, tool_names, result_hash,
      note, accounts, held, amounts, other_amounts
    FROM jsonb_populate_recordset(NULL::call, p_calls)
    ON CONFLICT (id) DO NOTHING RETURNING number
  ) SELECT coalesce(array_agg(number ORDER BY number), '{}') INTO v_numbers FROM made;
  o_known := '{}';
  IF cardinality(v_numbers) < jsonb_array_length(p_calls) THEN
    o_known := ARRAY(
      SELECT c.value->>'id' FROM jsonb_array_elements(p_calls) c
      WHERE NOT EXISTS (SELECT FROM call k WHERE k.id = c.value->>'id' AND k.number = ANY (v_numbers)));
  END IF;
  INSERT INTO hold (call, expires_at, process)
  SELECT c.number, p.expires_at, p_owner FROM jsonb_to_recordset(p_pending) p(id text, expires_at bigint)
  JOIN call c ON c.id = p.id WHERE c.number = ANY (v_numbers);
  INSERT INTO entry (call, kind, at) SELECT number, 'pending', started_at FROM call WHERE number = ANY (v_numbers) ORDER BY number;
  INSERT INTO entry (call, kind, at, cost_nanos, was_pending, reason, posted, assumed)
  SELECT number, CASE state WHEN 'posted' THEN 'post' WHEN 'voided' THEN 'void' ELSE 'expire' END, ended_at,
    coalesce(cost_nanos, 0), true,
    CASE state WHEN 'posted' THEN nullif(note, '') WHEN 'voided' THEN coalesce(nullif(note, ''), nullif(error, '')) END,
    array_replace(c.amounts, NULL, 0), CASE state WHEN 'assumed' THEN array_replace(c.amounts, NULL, 0) END
  FROM call c WHERE number = ANY (v_numbers) AND state <> 'pending' ORDER BY number;
  WITH moved AS (
    SELECT u.id, sum(CASE WHEN c.state = 'pending' THEN u.held ELSE 0 END) AS pending, sum(coalesce(u.amount, 0)) AS posted,
      sum(CASE WHEN c.state = 'assumed' THEN coalesce(u.amount, 0) ELSE 0 END) AS assumed
    FROM call c, unnest(c.accounts, c.held, c.amounts) u(id, held, amount) WHERE c.number = ANY (v_numbers) GROUP BY u.id
  ), done AS (
    UPDATE account a SET pending = a.pending + m.pending, posted = a.posted + m.posted, assumed = a.assumed + m.assumed
    FROM moved m WHERE a.id = m.id
  ) SELECT array_agg(id), array_agg(-(pending + posted)::bigint) INTO o_ids, o_amounts FROM moved;
END $$;

-- Close a call that was entered before; what it gives back to leases.
CREATE FUNCTION end_call(p_end jsonb, OUT o_ids bigint[], OUT o_amounts bigint[]) LANGUAGE plpgsql AS $$
DECLARE
  v_id text := p_end->>'id';
  v_state text := p_end->>'state';
  v_call call;
BEGIN
  SELECT * INTO v_call FROM call WHERE id = v_id FOR UPDATE;
  IF NOT FOUND THEN
    PERFORM contradict((unknown_call(v_id)).outcome, v_id);
  ELSIF v_call.state <> 'pending' THEN
    IF v_state = 'assumed' OR (v_state = 'voided' AND v_call.state = 'voided') THEN
      RETURN;
    ELSIF v_call.state = 'voided' THEN
      PERFORM contradict('voided', v_id);
    ELSIF v_state = 'voided' THEN
      PERFORM contradict('posted', v_id);
    ELSIF v_call.state <> 'posted' OR v_call.cost_nanos IS DISTINCT FROM (p_end->'settled'->>'cost_nanos')::bigint
      OR v_call.certainty <> p_end->'settled'->>'certainty' OR named_amounts(v_call) <> p_end->'amounts'
    THEN
      PERFORM contradict('conflict', v_id);
    END IF;
    RETURN;
  END IF;
  PERFORM settle_call(v_call, p_end->>'kind', v_state, p_end->'settled', p_end->'amounts', p_end->>'reason', NULL);
  SELECT array_agg(u.id), array_agg(u.held - coalesce(u.amount, 0)) INTO o_ids, o_amounts
  FROM call c, unnest(c.accounts, c.held, c.amounts) u(id, held, amount) WHERE c.number = v_call.number;
END $$;

-- Apply a part of a journal; `o_ids` and `o_amounts`: what it changes in the owner's leases, to be added up. Everything that it and
-- the end of the owner's leases may touch is locked first.
CREATE FUNCTION apply_verbs(
  p_owner text, p_calls jsonb, p_pending jsonb, p_ends jsonb, p_events jsonb, p_more bigint[], OUT o_ids bigint[], OUT o_amounts bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
  v_known text[];
  v_id text;
  v_end jsonb;
  v_some bigint[];
  v_parts bigint[];
  v_answer answer;
BEGIN
  PERFORM 1 FROM call WHERE id IN (SELECT value->>'id' FROM jsonb_array_elements(p_ends) UNION ALL
    SELECT value->>'id' FROM jsonb_array_elements(p_calls)) ORDER BY number FOR UPDATE;
  PERFORM lock_accounts(ARRAY(
    SELECT unnest(p_more) UNION SELECT account FROM lease WHERE owner = p_owner
    UNION SELECT unnest(c.accounts) FROM jsonb_array_elements(p_ends) e JOIN call c ON c.id = e.value->>'id'
    UNION SELECT unnest(accounts) FROM jsonb_populate_recordset(NULL::call, p_calls)));
  SELECT * INTO o_ids, o_amounts, v_known FROM enter_calls(p_owner, p_calls, p_pending);
  FOREACH v_id IN ARRAY v_known LOOP
    SELECT value INTO v_end FROM jsonb_array_elements(p_calls) WHERE value->>'id' = v_id;
    v_answer := reserved_before(v_end, (
      SELECT coalesce(jsonb_agg(jsonb_build_object('key', a.key, 'amount', u.held) ORDER BY u.place), '[]')
      FROM ROWS FROM (jsonb_array_elements_text(v_end->'accounts'), jsonb_array_elements_text(v_end->'held'))
        WITH ORDINALITY t(id, held, place), LATERAL (SELECT t.id::bigint AS id, t.held::bigint AS held, t.place) u
      JOIN account a ON a.id = u.id));
    IF v_answer.outcome <> 'exists' THEN
      PERFORM contradict(v_answer.outcome, v_id);
    END IF;
    IF v_end ? 'end' THEN
      p_ends := jsonb_build_array(v_end->'end') || p_ends;
    END IF;
  END LOOP;
  FOR v_end IN SELECT value FROM jsonb_array_elements(p_ends) WITH ORDINALITY ORDER BY ordinality LOOP
    SELECT * INTO v_some, v_parts FROM end_call(v_end);
    o_ids := o_ids || v_some;
    o_amounts := o_amounts || v_parts;
  END LOOP;
  IF p_events IS NOT NULL THEN
    PERFORM say(p_events);
  END IF;
END $$;

-- Leave so much of each of the owner's leases as it keeps (nothing, where `p_keep` is NULL); what it keeps is never more than
-- what there is. What is lost is posted as assumed, the rest returns to the accounts.
CREATE FUNCTION set_rests(p_owner text, p_ids bigint[], p_amounts bigint[], p_keep jsonb, p_is_lost boolean, p_now bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_ids bigint[];
  v_before bigint[];
  v_after bigint[];
  v_kept bigint[];
BEGIN
  SELECT array_agg(id), array_agg(before), array_agg(after), array_agg(least(after, coalesce((p_keep->>id::text)::bigint, 0)))
  INTO v_ids, v_before, v_after, v_kept
  FROM (
    SELECT id, sum(rest)::bigint AS before, greatest(0, sum(rest) + sum(amount))::bigint AS after FROM (
      SELECT account AS id, rest, 0 AS amount FROM lease WHERE owner = p_owner
      UNION ALL SELECT u.id, 0, u.amount FROM unnest(p_ids, p_amounts) u(id, amount)
    ) both_of GROUP BY id ORDER BY id
  ) sums;
  UPDATE account a SET leased = a.leased + u.kept - u.before
  FROM unnest(v_ids, v_before, v_kept) u(id, before, kept) WHERE a.id = u.id AND u.kept <> u.before;
  IF p_is_lost AND EXISTS (SELECT FROM unnest(v_after) a WHERE a > 0) THEN
    UPDATE account a SET posted = a.posted + u.after, assumed = a.assumed + u.after
    FROM unnest(v_ids, v_after) u(id, after) WHERE a.id = u.id;
    INSERT INTO entry (kind, at, reason, posted, assumed, call_id, accounts)
    SELECT 'expire', p_now, 'the journal of its leases was lost', array_agg(u.after ORDER BY u.id), array_agg(u.after ORDER BY u.id),
      'lease:' || p_owner, array_agg(u.id ORDER BY u.id)
    FROM unnest(v_ids, v_after) u(id, after) WHERE u.after > 0;
  END IF;
  DELETE FROM lease WHERE owner = p_owner AND account <> ALL (
    ARRAY(SELECT u.id FROM unnest(v_ids, v_kept) u(id, kept) WHERE u.kept > 0));
  INSERT INTO lease (owner, account, rest) SELECT p_owner, u.id, u.kept FROM unnest(v_ids, v_kept) u(id, kept) WHERE u.kept > 0
  ON CONFLICT (owner, account) DO UPDATE SET rest = excluded.rest WHERE lease.rest <> excluded.rest;
END $$;

-- The limits that people should see beside accounts.
CREATE FUNCTION show_limits(p_shown jsonb) RETURNS void LANGUAGE sql AS $$
  UPDATE account a SET shown_limit = s.shown FROM jsonb_to_recordset(p_shown) s(id bigint, shown bigint)
  WHERE a.id = s.id AND a.shown_limit IS DISTINCT FROM s.shown
$$;

-- Apply a part of a journal. `rests`: what the owner has of each account of the answer, in its order.
CREATE FUNCTION settle_leases(
  p_owner text, p_offset bigint, p_deadline bigint, p_keep jsonb, p_calls jsonb, p_pending jsonb, p_ends jsonb, p_shown jsonb,
  p_events jsonb, OUT answer answer, OUT rests bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
  v_applied bigint;
  v_ids bigint[];
  v_amounts bigint[];
  v_kept bigint[] := ARRAY(SELECT k::bigint FROM jsonb_object_keys(p_keep) k);
BEGIN
  SELECT applied INTO v_applied FROM lease_owner WHERE id = p_owner FOR UPDATE;
  IF NOT FOUND THEN
    answer := outcome('lost');
    RETURN;
  ELSIF p_offset > v_applied THEN
    SELECT * INTO v_ids, v_amounts FROM apply_verbs(p_owner, p_calls, p_pending, p_ends, p_events, v_kept);
    PERFORM show_limits(p_shown);
    PERFORM set_rests(p_owner, v_ids, v_amounts, p_keep, false, 0);
    UPDATE lease_owner SET applied = p_offset, deadline = greatest(deadline, p_deadline) WHERE id = p_owner;
  END IF;
  v_ids := ARRAY(SELECT unnest(v_kept) UNION SELECT unnest(v_ids));
  answer := answer_of('created', v_ids);
  rests := ARRAY(
    SELECT coalesce(l.rest, 0) FROM unnest(v_ids) WITH ORDINALITY u(id, place) JOIN account a ON a.id = u.id
    LEFT JOIN lease l ON l.owner = p_owner AND l.account = u.id ORDER BY u.place);
END $$;

-- The owner's books are closed; its open calls are charged at their quotes.
CREATE FUNCTION recover_leases(
  p_owner text, p_offset bigint, p_is_lost boolean, p_now bigint, p_calls jsonb, p_pending jsonb, p_ends jsonb, p_shown jsonb,
  p_events jsonb
) RETURNS SETOF call LANGUAGE plpgsql AS $$
DECLARE
  v_applied bigint;
  v_open bigint[];
  v_ids bigint[];
  v_amounts bigint[];
BEGIN
  SELECT applied INTO v_applied FROM lease_owner WHERE id = p_owner FOR UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF p_offset <= v_applied THEN
    p_calls := '[]'; p_pending := '[]'; p_ends := '[]'; p_shown := '[]'; p_events := NULL;
  END IF;
  v_open := ARRAY(
    SELECT c.number FROM hold h JOIN call c ON c.number = h.call
    WHERE h.process = p_owner AND c.state = 'pending' ORDER BY c.number FOR UPDATE OF c);
  SELECT * INTO v_ids, v_amounts FROM apply_verbs(p_owner, p_calls, p_pending, p_ends, p_events, accounts_of(v_open));
  PERFORM show_limits(p_shown);
  PERFORM set_rests(p_owner, v_ids, v_amounts, NULL, p_is_lost, p_now);
  WITH gone AS (DELETE FROM hold WHERE process = p_owner RETURNING call)
  SELECT coalesce(array_agg(c.number ORDER BY c.id), '{}') INTO v_open FROM gone JOIN call c ON c.number = gone.call;
  PERFORM assume(v_open, p_now);
  DELETE FROM lease_owner WHERE id = p_owner;
  RETURN QUERY SELECT c.* FROM call c WHERE c.number = ANY (v_open) ORDER BY c.id;
END $$;
