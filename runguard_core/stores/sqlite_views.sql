
-- For people with a shell: calls in plain words (USD, ISO times), and the sums of days.
CREATE VIEW calls AS
SELECT
  call.n AS line,
  CASE typeof(call.id) WHEN 'text' THEN call.id ELSE hex(call.id) END AS id,
  asked.kind, asked.name, word.text AS model_answered,
  CASE call.state WHEN 0 THEN 'pending' WHEN 1 THEN 'posted' WHEN 2 THEN 'voided' ELSE 'assumed' END AS state,
  strftime('%Y-%m-%dT%H:%M:%SZ', call.started_at / 1000000, 'unixepoch') AS started_at,
  round(call.ended_after / 1e6, 3) AS seconds,
  payer.app, payer.feature, payer.team, payer.owner, payer.agent, who.user, who.session, who.run, call.turn,
  call.loop, payer.release, payer.tags,
  call.quote_nanos / 1e9 AS quote_usd, call.cost_nanos / 1e9 AS cost_usd,
  CASE call.certainty WHEN 0 THEN 'exact' WHEN 1 THEN 'estimated' WHEN 2 THEN 'unpriced' WHEN 3 THEN 'assumed' END AS certainty,
  CASE call.outcome WHEN 0 THEN 'completed' WHEN 1 THEN 'failed' WHEN 2 THEN 'cancelled' WHEN 3 THEN 'unknown' END AS outcome,
  call.input_tokens, call.output_tokens, call.cache_read_input_tokens, call.result_chars, call.provider_request_id, call.more
FROM call
JOIN who ON who.id = call.who
JOIN payer ON payer.id = who.payer
JOIN asked ON asked.id = call.asked
LEFT JOIN word ON word.id = call.answered;

CREATE VIEW days AS
SELECT
  date(quarter * 900, 'unixepoch') AS day, payer.app, payer.feature, payer.agent, asked.kind,
  coalesce(nullif(word.text, ''), asked.name) AS name,
  sum(call_count + tool_count) AS calls, sum(cost_nanos) / 1e9 AS cost_usd,
  sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens
FROM quarter_total
JOIN payer ON payer.id = quarter_total.payer
JOIN asked ON asked.id = quarter_total.asked
LEFT JOIN word ON word.id = quarter_total.answered
GROUP BY 1, 2, 3, 4, 5, 6;
