-- readable_by: 1
-- A parcel of another ledger's lines: whole calls, each with every line it has there. A line that is here already is passed over,
-- with its call when none of its lines is new; so the same parcel may come twice, and an older one after a newer one.
CREATE FUNCTION ship(p_source jsonb, p_calls jsonb, p_lines jsonb, p_shown jsonb, p_events jsonb) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  v_source integer;
  v_lines bigint[];
  v_ids text[];
  v_id text;
BEGIN
  INSERT INTO source (ledger, host, place, line, shipped_at)
  SELECT ledger, host, place, line, shipped_at FROM jsonb_populate_record(NULL::source, p_source)
  ON CONFLICT (ledger) DO UPDATE SET host = excluded.host, place = excluded.place,
    line = greatest(source.line, excluded.line), shipped_at = greatest(source.shipped_at, excluded.shipped_at)
  RETURNING number INTO v_source;
  SELECT l.call_id INTO v_id FROM jsonb_populate_recordset(NULL::entry, p_lines) l
  JOIN entry e ON e.source = v_source AND e.line = l.line LEFT JOIN call c ON c.number = e.call
  WHERE coalesce(c.id, e.call_id) <> l.call_id LIMIT 1;
  IF v_id IS NOT NULL THEN
    PERFORM contradict('copied', v_id);
  END IF;
  SELECT array_agg(l.line), array_agg(DISTINCT l.call_id) INTO v_lines, v_ids
  FROM jsonb_populate_recordset(NULL::entry, p_lines) l
  WHERE NOT EXISTS (SELECT FROM entry e WHERE e.source = v_source AND e.line = l.line);
  IF v_lines IS NOT NULL THEN
    SELECT c.id INTO v_id FROM call c WHERE c.id = ANY (v_ids) AND c.source IS DISTINCT FROM v_source LIMIT 1;
    IF v_id IS NOT NULL THEN
      PERFORM contradict('foreign', v_id);
    END IF;
    PERFORM 1 FROM call WHERE id = ANY (v_ids) ORDER BY number FOR UPDATE;
    PERFORM lock_accounts(ARRAY(
      SELECT unnest(accounts) FROM jsonb_populate_recordset(NULL::call, p_calls)
      UNION SELECT unnest(accounts) FROM jsonb_populate_recordset(NULL::entry, p_lines)));
    PERFORM copy_calls(v_source, p_source->>'ledger', v_ids, p_calls);
    PERFORM copy_lines(v_source, v_lines, p_lines);
    PERFORM show_limits(p_shown);
  END IF;
  IF p_events IS NOT NULL THEN
    PERFORM say(p_events);
  END IF;
  RETURN coalesce(cardinality(v_lines), 0);
END $$;

CREATE FUNCTION copy_calls(p_source integer, p_ledger text, p_ids text[], p_calls jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO call (
    started_at, ended_at, quote_nanos, cost_nanos, duration_seconds, input_tokens, output_tokens, cache_read_input_tokens,
    cache_creation_input_tokens, cache_creation_1h_input_tokens, reasoning_output_tokens, input_audio_tokens,
    cache_audio_read_tokens, output_audio_tokens, input_image_tokens, output_image_tokens, web_search_count, result_chars,
    max_output_tokens, turn, loop, error_status, attempt_count, quote_is_bound, unverified, from_cache, id, kind, name, state,
    app, feature, team, owner, agent, instance, "user", session, run, release, tags, provider, account, key_fingerprint,
    signature, parts, policy_hash, outcome, certainty, model_answered, provider_request_id, error, tool_names, result_hash,
    note, accounts, held, amounts, other_amounts, source
  ) SELECT
    started_at, ended_at, quote_nanos, cost_nanos, duration_seconds, input_tokens, output_tokens, cache_read_input_tokens,
    cache_creation_input_tokens, cache_creation_1h_input_tokens, reasoning_output_tokens, input_audio_tokens,
    cache_audio_read_tokens, output_audio_tokens, input_image_tokens, output_image_tokens, web_search_count, result_chars,
    max_output_tokens, turn, loop, error_status, attempt_count, quote_is_bound, unverified, from_cache, id, kind, name, state,
    app, feature, team, owner, agent, instance, "user", session, run, release, tags, provider, account, key_fingerprint,
    signature, parts, policy_hash, outcome, certainty, model_answered, provider_request_id, error, tool_names, result_hash,
    note, accounts, held, amounts, other_amounts, p_source
  FROM jsonb_populate_recordset(NULL::call, p_calls) n WHERE n.id = ANY (p_ids) ORDER BY n.started_at, n.id
  ON CONFLICT (id) DO UPDATE SET
    ended_at = excluded.ended_at, cost_nanos = excluded.cost_nanos, duration_seconds = excluded.duration_seconds, input_tokens
    = excluded.input_tokens, output_tokens = excluded.output_tokens, cache_read_input_tokens =
    excluded.cache_read_input_tokens, cache_creation_input_tokens = excluded.cache_creation_input_tokens,
    cache_creation_1h_input_tokens = excluded.cache_creation_1h_input_tokens, reasoning_output_tokens =
    excluded.reasoning_output_tokens, input_audio_tokens = excluded.input_audio_tokens, cache_audio_read_tokens =
    excluded.cache_audio_read_tokens, output_audio_tokens = excluded.output_audio_tokens, input_image_tokens =
    excluded.input_image_tokens, output_image_tokens = excluded.output_image_tokens, web_search_count =
    excluded.web_search_count, result_chars = excluded.result_chars, error_status = excluded.error_status, attempt_count =
    excluded.attempt_count, from_cache = excluded.from_cache, state = excluded.state, outcome = excluded.outcome, certainty =
    excluded.certainty, model_answered = excluded.model_answered, provider_request_id = excluded.provider_request_id, error =
    excluded.error, tool_names = excluded.tool_names, result_hash = excluded.result_hash, note = excluded.note, amounts =
    excluded.amounts, other_amounts = excluded.other_amounts;
  DELETE FROM hold h USING call c WHERE c.number = h.call AND c.id = ANY (p_ids) AND c.state <> 'pending';
  INSERT INTO hold (call, expires_at, process)
  SELECT number, started_at, 'ledger:' || p_ledger FROM call WHERE id = ANY (p_ids) AND state = 'pending'
  ON CONFLICT DO NOTHING;
END $$;

-- The lines that are new, in their order, and what they move.
CREATE FUNCTION copy_lines(p_source integer, p_new bigint[], p_lines jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  WITH made AS (
    INSERT INTO entry (source, line, call, at, cost_nanos, was_pending, kind, reason, posted, assumed, call_id, accounts)
    SELECT p_source, l.line, c.number, l.at, l.cost_nanos, l.was_pending, l.kind, l.reason, l.posted, l.assumed,
      CASE WHEN c.number IS NULL THEN l.call_id END, CASE WHEN c.number IS NULL THEN l.accounts END
    FROM jsonb_populate_recordset(NULL::entry, p_lines) l LEFT JOIN call c ON c.id = l.call_id
    WHERE l.line = ANY (p_new) ORDER BY l.line RETURNING *
  ), moved AS (
    SELECT u.id, sum(CASE WHEN e.kind = 'pending' THEN u.held WHEN e.was_pending THEN -u.held ELSE 0 END) AS pending,
      sum(coalesce(u.posted, 0)) AS posted, sum(coalesce(u.assumed, 0)) AS assumed
    FROM made e LEFT JOIN call c ON c.number = e.call,
      LATERAL unnest(coalesce(c.accounts, e.accounts), c.held, e.posted, e.assumed) u(id, held, posted, assumed)
    GROUP BY u.id
  ) UPDATE account a SET pending = a.pending + coalesce(m.pending, 0), posted = a.posted + m.posted, assumed = a.assumed + m.assumed
  FROM moved m WHERE a.id = m.id;
END $$;
