-- readable_by: 1
-- Latches and overrides. Whoever changes one moves the counter first: one is changed at a time, and who watches it sees that
-- something has changed.
CREATE FUNCTION breaker_changed() RETURNS void LANGUAGE sql AS $$
  UPDATE meta SET value = (value::bigint + 1)::text WHERE key = 'breaker'
$$;

CREATE FUNCTION put_latch(p_latch jsonb, p_events jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v latch := jsonb_populate_record(NULL::latch, p_latch);
BEGIN
  PERFORM breaker_changed();
  DELETE FROM latch WHERE scope_kind = v.scope_kind AND scope_id = v.scope_id
    AND (state <> 'forced_open' OR v.state = 'forced_open' OR until <= v.since);
  INSERT INTO latch SELECT v.* ON CONFLICT DO NOTHING;
  IF p_events IS NOT NULL THEN
    PERFORM say(p_events);
  END IF;
END $$;

CREATE FUNCTION drop_latch(p_kind text, p_id text, p_events jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_found boolean;
BEGIN
  PERFORM breaker_changed();
  DELETE FROM latch WHERE scope_kind = p_kind AND scope_id = p_id;
  v_found := FOUND;
  IF p_events IS NOT NULL THEN
    PERFORM say(p_events);
  END IF;
  RETURN v_found;
END $$;

CREATE FUNCTION put_override(p_override jsonb, p_events jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v limit_override := jsonb_populate_record(NULL::limit_override, p_override);
BEGIN
  PERFORM breaker_changed();
  DELETE FROM limit_override WHERE account_key = v.account_key;
  INSERT INTO limit_override SELECT v.*;
  IF p_events IS NOT NULL THEN
    PERFORM say(p_events);
  END IF;
END $$;
