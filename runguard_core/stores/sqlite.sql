-- The ledger's tables. Amounts are whole numbers of a unit's smallest part (USD: nano-USD), times are microseconds UTC.
CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- One counter of the book; a cache that `verify` recomputes from the entries.
CREATE TABLE account (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  unit TEXT NOT NULL,
  title TEXT NOT NULL,
  window_start INTEGER,
  window_end INTEGER,
  posted INTEGER NOT NULL DEFAULT 0 CHECK (posted BETWEEN 0 AND 4611686018427387904),
  pending INTEGER NOT NULL DEFAULT 0 CHECK (pending BETWEEN 0 AND 4611686018427387904),
  assumed INTEGER NOT NULL DEFAULT 0 CHECK (assumed BETWEEN 0 AND 4611686018427387904),
  leased INTEGER NOT NULL DEFAULT 0 CHECK (leased BETWEEN 0 AND 4611686018427387904),
  shown_limit INTEGER
) STRICT;

-- One call: who pays, what was set aside, how it ended.
CREATE TABLE call (
  id TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  app TEXT NOT NULL, feature TEXT, team TEXT, owner TEXT, agent TEXT, instance TEXT, user TEXT, session TEXT, run TEXT,
  turn INTEGER, loop INTEGER, release TEXT, tags TEXT NOT NULL,
  provider TEXT, account TEXT, key_fingerprint TEXT,
  quote_nanos INTEGER, quote_is_bound INTEGER NOT NULL, max_output_tokens INTEGER, signature TEXT, parts TEXT NOT NULL,
  policy_hash TEXT NOT NULL, unverified INTEGER NOT NULL,
  holds TEXT NOT NULL, expires_at INTEGER NOT NULL, process TEXT NOT NULL,
  ended_at INTEGER, outcome TEXT, amounts TEXT, cost_nanos INTEGER, certainty TEXT,
  input_tokens INTEGER, output_tokens INTEGER, cache_read_input_tokens INTEGER, cache_creation_input_tokens INTEGER,
  cache_creation_1h_input_tokens INTEGER, reasoning_output_tokens INTEGER, input_audio_tokens INTEGER,
  cache_audio_read_tokens INTEGER, output_audio_tokens INTEGER, input_image_tokens INTEGER, output_image_tokens INTEGER,
  web_search_count INTEGER,
  duration_seconds REAL, model_answered TEXT, provider_request_id TEXT, error TEXT, error_status INTEGER,
  attempt_count INTEGER, from_cache INTEGER, tool_names TEXT, result_hash TEXT, result_chars INTEGER, note TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX call_session ON call (session, id);
CREATE INDEX call_run ON call (run, id);
CREATE INDEX call_started ON call (started_at);
CREATE INDEX call_pending ON call (expires_at) WHERE state = 'pending';

-- The lines of the book: written once, never changed.
CREATE TABLE entry (
  sequence INTEGER PRIMARY KEY,
  call_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  at INTEGER NOT NULL,
  moves TEXT NOT NULL,
  cost_nanos INTEGER NOT NULL,
  reason TEXT NOT NULL
) STRICT;
CREATE INDEX entry_call ON entry (call_id);

CREATE TABLE event (
  sequence INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, at INTEGER NOT NULL, severity TEXT NOT NULL, message TEXT NOT NULL,
  app TEXT NOT NULL, session TEXT, run TEXT, agent TEXT, feature TEXT, call_id TEXT, facts TEXT NOT NULL
) STRICT;
CREATE INDEX event_session ON event (session);

CREATE TABLE latch (
  scope_kind TEXT NOT NULL, scope_id TEXT NOT NULL, state TEXT NOT NULL, rule TEXT NOT NULL, reason TEXT NOT NULL,
  since INTEGER NOT NULL, until INTEGER, account_key TEXT, marks TEXT NOT NULL, session TEXT, set_by TEXT NOT NULL,
  PRIMARY KEY (scope_kind, scope_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE limit_override (
  account_key TEXT NOT NULL PRIMARY KEY, amount INTEGER NOT NULL CHECK (amount >= 0), set_by TEXT NOT NULL,
  reason TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER
) STRICT, WITHOUT ROWID;

-- Ids that were voided before they were reserved: a reserve that arrives late must not slip in.
CREATE TABLE tombstone (call_id TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
