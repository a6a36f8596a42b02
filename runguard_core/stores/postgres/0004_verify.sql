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
  ), charged AS (
    SELECT call AS number, sum(cost_nanos) AS cost_nanos FROM entry WHERE call IS NOT NULL GROUP BY call
  )
  SELECT 'account ' || coalesce(a.title, f.id::text), coalesce(format('posted %s, pending %s, assumed %s, leased %s', a.posted, a.pending, a.assumed, a.leased), 'missing'),
    format('posted %s, pending %s, assumed %s, leased %s', coalesce(f.posted, 0), coalesce(f.pending, 0), coalesce(f.assumed, 0), coalesce(r.leased, 0))
  FROM account a FULL JOIN folded f ON f.id = a.id LEFT JOIN rests r ON r.id = a.id
  WHERE (a.posted, a.pending, a.assumed, a.leased)
    IS DISTINCT FROM (coalesce(f.posted, 0), coalesce(f.pending, 0), coalesce(f.assumed, 0), coalesce(r.leased, 0))
  UNION ALL
  SELECT 'call ' || c.id, coalesce(c.cost_nanos, 0)::text, coalesce(x.cost_nanos, 0)::text
  FROM call c LEFT JOIN charged x ON x.number = c.number WHERE coalesce(c.cost_nanos, 0) <> coalesce(x.cost_nanos, 0)
  UNION ALL
  SELECT 'call ' || c.id, c.state || CASE WHEN h.call IS NULL THEN ' without a hold' ELSE ' with a hold' END, 'a hold while pending'
  FROM call c FULL JOIN hold h ON h.call = c.number WHERE (c.state = 'pending') IS DISTINCT FROM (h.call IS NOT NULL)
$$;
