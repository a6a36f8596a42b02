-- readable_by: 1
-- Sums beside the calls, by quarters of an hour and by what many calls have in common. Whatever changes calls adds lines of what
-- that adds and takes away. Lines are only ever added, so that nobody waits for anybody; `gather_totals` makes one line of many.

-- What one call adds to a total; a sub-agent's part is none.
CREATE FUNCTION tally_of(c call) RETURNS TABLE (
    number bigint, started_at bigint, state text, quarter bigint, app text, feature text, team text, owner text, agent text,
    release text, provider text, kind text, model text, tool text, instance text, "user" text, session text, run text,
    turn text, loop text, tags text, conversation text,
    call_count integer, tool_count integer, unpriced_count integer, cost_nanos bigint, exact_nanos bigint,
    estimated_nanos bigint, assumed_nanos bigint, pending_nanos bigint,
    input_tokens bigint, output_tokens bigint, cache_read_input_tokens bigint, cache_creation_input_tokens bigint,
    cache_creation_1h_input_tokens bigint, reasoning_output_tokens bigint, input_audio_tokens bigint,
    cache_audio_read_tokens bigint, output_audio_tokens bigint, input_image_tokens bigint, output_image_tokens bigint,
    web_search_count bigint
) LANGUAGE sql IMMUTABLE AS $$
  SELECT
    c.number, c.started_at, c.state, c.started_at - mod(c.started_at, 900000000), c.app, c.feature, c.team, c.owner, c.agent,
    c.release, c.provider, c.kind, CASE WHEN c.kind = 'model' THEN coalesce(nullif(c.model_answered, ''), c.name) END,
    CASE WHEN c.kind = 'tool' THEN c.name END, c.instance, c."user", c.session, c.run, c.turn::text, c.loop::text, c.tags,
    coalesce(nullif(c.session, ''), nullif(c.run, ''), c.id),
    (c.kind = 'model')::integer, (c.kind = 'tool')::integer, (c.outcome IS NOT NULL AND c.certainty = 'unpriced')::integer,
    coalesce(c.cost_nanos, 0), CASE WHEN c.certainty = 'exact' THEN coalesce(c.cost_nanos, 0) ELSE 0 END,
    CASE WHEN c.certainty NOT IN ('exact', 'assumed', 'unpriced') THEN coalesce(c.cost_nanos, 0) ELSE 0 END,
    CASE WHEN c.certainty = 'assumed' THEN coalesce(c.cost_nanos, 0) ELSE 0 END,
    CASE WHEN c.outcome IS NULL THEN coalesce(c.quote_nanos, 0) ELSE 0 END,
    coalesce(c.input_tokens, 0), coalesce(c.output_tokens, 0), coalesce(c.cache_read_input_tokens, 0),
    coalesce(c.cache_creation_input_tokens, 0), coalesce(c.cache_creation_1h_input_tokens, 0),
    coalesce(c.reasoning_output_tokens, 0), coalesce(c.input_audio_tokens, 0), coalesce(c.cache_audio_read_tokens, 0),
    coalesce(c.output_audio_tokens, 0), coalesce(c.input_image_tokens, 0), coalesce(c.output_image_tokens, 0),
    coalesce(c.web_search_count, 0)
  WHERE c.kind <> 'child'
$$;

CREATE VIEW tally AS SELECT t.* FROM call c, LATERAL tally_of(c) t;

CREATE TABLE quarter_total (
  line bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  quarter bigint NOT NULL,
  call_count numeric NOT NULL, tool_count numeric NOT NULL, unpriced_count numeric NOT NULL, cost_nanos numeric NOT NULL,
  exact_nanos numeric NOT NULL, estimated_nanos numeric NOT NULL, assumed_nanos numeric NOT NULL, pending_nanos numeric NOT
  NULL, input_tokens numeric NOT NULL, output_tokens numeric NOT NULL, cache_read_input_tokens numeric NOT NULL,
  cache_creation_input_tokens numeric NOT NULL, cache_creation_1h_input_tokens numeric NOT NULL, reasoning_output_tokens
  numeric NOT NULL, input_audio_tokens numeric NOT NULL, cache_audio_read_tokens numeric NOT NULL, output_audio_tokens
  numeric NOT NULL, input_image_tokens numeric NOT NULL, output_image_tokens numeric NOT NULL, web_search_count numeric NOT
  NULL,
  is_gathered boolean NOT NULL DEFAULT false,
  app text NOT NULL, feature text, team text, owner text, agent text, release text, provider text, kind text NOT NULL, model text,
  tool text
);
CREATE INDEX quarter_total_quarter ON quarter_total (quarter);
CREATE INDEX quarter_total_new ON quarter_total (quarter) WHERE NOT is_gathered;

CREATE FUNCTION calls_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO quarter_total (
    quarter, app, feature, team, owner, agent, release, provider, kind, model, tool, call_count, tool_count, unpriced_count,
    cost_nanos, exact_nanos, estimated_nanos, assumed_nanos, pending_nanos, input_tokens, output_tokens,
    cache_read_input_tokens, cache_creation_input_tokens, cache_creation_1h_input_tokens, reasoning_output_tokens,
    input_audio_tokens, cache_audio_read_tokens, output_audio_tokens, input_image_tokens, output_image_tokens,
    web_search_count
  ) SELECT quarter, app, feature, team, owner, agent, release, provider, kind, model, tool,
    sum(call_count), sum(tool_count), sum(unpriced_count), sum(cost_nanos), sum(exact_nanos), sum(estimated_nanos),
    sum(assumed_nanos), sum(pending_nanos), sum(input_tokens), sum(output_tokens), sum(cache_read_input_tokens),
    sum(cache_creation_input_tokens), sum(cache_creation_1h_input_tokens), sum(reasoning_output_tokens),
    sum(input_audio_tokens), sum(cache_audio_read_tokens), sum(output_audio_tokens), sum(input_image_tokens),
    sum(output_image_tokens), sum(web_search_count)
  FROM (SELECT t.* FROM new_calls n, LATERAL tally_of(ROW(n.*)::call) t) u GROUP BY quarter, app, feature, team, owner, agent, release, provider, kind, model, tool;
  RETURN NULL;
END $$;
CREATE TRIGGER calls_added AFTER INSERT ON call REFERENCING NEW TABLE AS new_calls
  FOR EACH STATEMENT EXECUTE FUNCTION calls_added();

CREATE FUNCTION calls_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO quarter_total (
    quarter, app, feature, team, owner, agent, release, provider, kind, model, tool, call_count, tool_count, unpriced_count,
    cost_nanos, exact_nanos, estimated_nanos, assumed_nanos, pending_nanos, input_tokens, output_tokens,
    cache_read_input_tokens, cache_creation_input_tokens, cache_creation_1h_input_tokens, reasoning_output_tokens,
    input_audio_tokens, cache_audio_read_tokens, output_audio_tokens, input_image_tokens, output_image_tokens,
    web_search_count
  ) SELECT quarter, app, feature, team, owner, agent, release, provider, kind, model, tool,
    sum(sign * call_count), sum(sign * tool_count), sum(sign * unpriced_count), sum(sign * cost_nanos), sum(sign *
    exact_nanos), sum(sign * estimated_nanos), sum(sign * assumed_nanos), sum(sign * pending_nanos), sum(sign *
    input_tokens), sum(sign * output_tokens), sum(sign * cache_read_input_tokens), sum(sign * cache_creation_input_tokens),
    sum(sign * cache_creation_1h_input_tokens), sum(sign * reasoning_output_tokens), sum(sign * input_audio_tokens),
    sum(sign * cache_audio_read_tokens), sum(sign * output_audio_tokens), sum(sign * input_image_tokens), sum(sign *
    output_image_tokens), sum(sign * web_search_count)
  FROM (
    SELECT 1 AS sign, t.* FROM new_calls n, LATERAL tally_of(ROW(n.*)::call) t
    UNION ALL SELECT -1, t.* FROM old_calls o, LATERAL tally_of(ROW(o.*)::call) t
  ) u GROUP BY quarter, app, feature, team, owner, agent, release, provider, kind, model, tool;
  RETURN NULL;
END $$;
CREATE TRIGGER calls_changed AFTER UPDATE ON call REFERENCING OLD TABLE AS old_calls NEW TABLE AS new_calls
  FOR EACH STATEMENT EXECUTE FUNCTION calls_changed();

-- Make one line of many, once there are so many new ones and nobody else is at it.
CREATE FUNCTION gather_totals(p_least integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('runguard totals ' || current_schema(), 0))
    OR (SELECT count(*) FROM (SELECT FROM quarter_total WHERE NOT is_gathered LIMIT p_least) AS new_lines) < p_least
  THEN
    RETURN;
  END IF;
  WITH gone AS (
    DELETE FROM quarter_total WHERE quarter IN (SELECT quarter FROM quarter_total WHERE NOT is_gathered) RETURNING *
  ) INSERT INTO quarter_total (
    is_gathered,
    quarter, app, feature, team, owner, agent, release, provider, kind, model, tool, call_count, tool_count, unpriced_count,
    cost_nanos, exact_nanos, estimated_nanos, assumed_nanos, pending_nanos, input_tokens, output_tokens,
    cache_read_input_tokens, cache_creation_input_tokens, cache_creation_1h_input_tokens, reasoning_output_tokens,
    input_audio_tokens, cache_audio_read_tokens, output_audio_tokens, input_image_tokens, output_image_tokens,
    web_search_count
  ) SELECT true, quarter, app, feature, team, owner, agent, release, provider, kind, model, tool,
    sum(call_count), sum(tool_count), sum(unpriced_count), sum(cost_nanos), sum(exact_nanos), sum(estimated_nanos),
    sum(assumed_nanos), sum(pending_nanos), sum(input_tokens), sum(output_tokens), sum(cache_read_input_tokens),
    sum(cache_creation_input_tokens), sum(cache_creation_1h_input_tokens), sum(reasoning_output_tokens),
    sum(input_audio_tokens), sum(cache_audio_read_tokens), sum(output_audio_tokens), sum(input_image_tokens),
    sum(output_image_tokens), sum(web_search_count)
  FROM gone GROUP BY quarter, app, feature, team, owner, agent, release, provider, kind, model, tool HAVING sum(call_count) + sum(tool_count) <> 0;
END $$;

-- (app, conversation) of the latest calls, the newest first: read backwards until there are enough.
CREATE FUNCTION latest_sessions(p_app text, p_since bigint, p_until bigint, p_limit integer)
RETURNS TABLE (app text, conversation text, at bigint) LANGUAGE plpgsql STABLE AS $$
DECLARE
  r record;
  v_seen text[] := '{}';
  v_name text;
  v_last bigint;
BEGIN
  FOR r IN
    SELECT c.app, coalesce(nullif(c.session, ''), nullif(c.run, ''), c.id) AS conversation, c.started_at FROM call c
    WHERE (p_app IS NULL OR c.app = p_app) AND (p_since IS NULL OR c.started_at >= p_since)
      AND (p_until IS NULL OR c.started_at < p_until)
    ORDER BY c.started_at DESC
  LOOP
    EXIT WHEN v_last > r.started_at;  -- of one instant all, for names decide
    v_name := jsonb_build_array(r.app, r.conversation)::text;
    IF v_name <> ALL (v_seen) THEN
      v_seen := v_seen || v_name;
      app := r.app; conversation := r.conversation; at := r.started_at;
      RETURN NEXT;
      IF cardinality(v_seen) = p_limit THEN
        v_last := r.started_at;
      END IF;
    END IF;
  END LOOP;
END $$;

-- The same of all calls, which are read once.
CREATE FUNCTION all_sessions(p_app text, p_since bigint, p_until bigint, p_limit integer)
RETURNS TABLE (app text, conversation text, at bigint) LANGUAGE sql STABLE AS $$
  SELECT c.app, coalesce(nullif(c.session, ''), nullif(c.run, ''), c.id), max(c.started_at) FROM call c
  WHERE (p_app IS NULL OR c.app = p_app) AND (p_since IS NULL OR c.started_at >= p_since)
    AND (p_until IS NULL OR c.started_at < p_until)
  GROUP BY 1, 2
$$;
