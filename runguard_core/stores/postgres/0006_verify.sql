-- readable_by: 1
-- Where the book contradicts itself. One statement, so that all of it is seen at one instant.
CREATE FUNCTION verify() RETURNS TABLE (place text, recorded text, recomputed text) LANGUAGE sql STABLE AS $$
  WITH move AS (
    SELECT a.id,
      CASE WHEN e.kind = 'pending' THEN a.held WHEN e.was_pending THEN -a.held ELSE 0 END AS pending,
      coalesce(a.posted, 0) AS posted, coalesce(a.assumed, 0) AS assumed
    FROM entry e JOIN call c ON c.number = e.call,
      unnest(c.accounts, c.held, e.posted, e.assumed) a(id, held, posted, assumed)
    UNION ALL
    SELECT a.id, 0, coalesce(a.posted, 0), coalesce(a.assumed, 0)
    FROM entry e, unnest(e.accounts, e.posted, e.assumed) a(id, posted, assumed) WHERE e.call IS NULL
  ), folded AS (
    SELECT id, sum(posted) AS posted, sum(pending) AS pending, sum(assumed) AS assumed FROM move GROUP BY id
  ), rests AS (
    SELECT account AS id, sum(rest) AS leased FROM lease GROUP BY account
  ), kept AS (
    SELECT quarter, app, feature, team, owner, agent, release, provider, kind, model, tool, ARRAY[
      sum(call_count), sum(tool_count), sum(unpriced_count), sum(cost_nanos), sum(exact_nanos), sum(estimated_nanos),
      sum(assumed_nanos), sum(pending_nanos), sum(input_tokens), sum(output_tokens), sum(cache_read_input_tokens),
      sum(cache_creation_input_tokens), sum(cache_creation_1h_input_tokens), sum(reasoning_output_tokens),
      sum(input_audio_tokens), sum(cache_audio_read_tokens), sum(output_audio_tokens), sum(input_image_tokens),
      sum(output_image_tokens), sum(web_search_count)
    ] AS sums FROM quarter_total GROUP BY quarter, app, feature, team, owner, agent, release, provider, kind, model, tool
    HAVING sum(call_count) + sum(tool_count) <> 0 OR sum(cost_nanos) <> 0
  ), counted AS (
    SELECT quarter, app, feature, team, owner, agent, release, provider, kind, model, tool, ARRAY[
      sum(call_count)::numeric, sum(tool_count)::numeric, sum(unpriced_count)::numeric, sum(cost_nanos)::numeric,
      sum(exact_nanos)::numeric, sum(estimated_nanos)::numeric, sum(assumed_nanos)::numeric, sum(pending_nanos)::numeric,
      sum(input_tokens)::numeric, sum(output_tokens)::numeric, sum(cache_read_input_tokens)::numeric,
      sum(cache_creation_input_tokens)::numeric, sum(cache_creation_1h_input_tokens)::numeric,
      sum(reasoning_output_tokens)::numeric, sum(input_audio_tokens)::numeric, sum(cache_audio_read_tokens)::numeric,
      sum(output_audio_tokens)::numeric, sum(input_image_tokens)::numeric, sum(output_image_tokens)::numeric,
      sum(web_search_count)::numeric
    ] AS sums FROM tally GROUP BY quarter, app, feature, team, owner, agent, release, provider, kind, model, tool
  ), charged AS (
    SELECT call AS number, sum(cost_nanos) AS cost_nanos FROM entry WHERE call IS NOT NULL GROUP BY call
  )
  SELECT 'account ' || coalesce(a.title, f.id::text), coalesce(format('posted %s, pending %s, assumed %s, leased %s', a.posted, a.pending, a.assumed, a.leased), 'missing'),
    format('posted %s, pending %s, assumed %s, leased %s', coalesce(f.posted, 0), coalesce(f.pending, 0), coalesce(f.assumed, 0), coalesce(r.leased, 0))
  FROM account a FULL JOIN folded f ON f.id = a.id LEFT JOIN rests r ON r.id = a.id
  WHERE (a.posted, a.pending, a.assumed, a.leased)
    IS DISTINCT FROM (coalesce(f.posted, 0), coalesce(f.pending, 0), coalesce(f.assumed, 0), coalesce(r.leased, 0))
  UNION ALL
  SELECT 'total ' || jsonb_build_array(quarter, app, agent, coalesce(model, tool))::text, string_agg(kept_sums::text, ''),
    string_agg(counted_sums::text, '')
  FROM (
    SELECT kept.*, sums AS kept_sums, NULL::numeric[] AS counted_sums FROM kept
    UNION ALL SELECT counted.*, NULL, sums FROM counted
  ) u GROUP BY quarter, app, feature, team, owner, agent, release, provider, kind, model, tool
  HAVING string_agg(kept_sums::text, '') IS DISTINCT FROM string_agg(counted_sums::text, '')
  UNION ALL
  SELECT 'call ' || c.id, coalesce(c.cost_nanos, 0)::text, coalesce(x.cost_nanos, 0)::text
  FROM call c LEFT JOIN charged x ON x.number = c.number WHERE coalesce(c.cost_nanos, 0) <> coalesce(x.cost_nanos, 0)
  UNION ALL
  SELECT 'call ' || c.id, c.state || CASE WHEN h.call IS NULL THEN ' without a hold' ELSE ' with a hold' END, 'a hold while pending'
  FROM call c FULL JOIN hold h ON h.call = c.number WHERE (c.state = 'pending') IS DISTINCT FROM (h.call IS NOT NULL)
$$;
