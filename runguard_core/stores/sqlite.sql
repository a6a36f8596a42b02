-- The ledger's tables, layout 2 (docs/ledger.md). Amounts are whole numbers of a unit's smallest part (USD: nano-USD), times
-- are microseconds since 1970, UTC. To look around, read the views at the end of `sqlite_views.sql`: they speak plainly.
CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- One counter of the book; a cache that `verify` recomputes from the lines.
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

-- What repeats is written once. Who pays:
CREATE TABLE payer (
  id INTEGER PRIMARY KEY,
  app TEXT NOT NULL, feature TEXT, team TEXT, owner TEXT, agent TEXT, release TEXT, tags TEXT NOT NULL
) STRICT;
CREATE INDEX payer_tags ON payer (tags, feature, agent);

-- whose run it is (`lone` is the call's id where neither session nor run is known: such a call is a session of its own);
CREATE TABLE who (
  id INTEGER PRIMARY KEY,
  payer INTEGER NOT NULL REFERENCES payer,
  user TEXT, session TEXT, run TEXT, instance TEXT, lone TEXT
) STRICT;
CREATE INDEX who_session ON who (session);
CREATE INDEX who_run ON who (run);

-- what was called, under which policy;
CREATE TABLE asked (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL, name TEXT NOT NULL,
  provider TEXT, account TEXT, key_fingerprint TEXT, policy_hash TEXT NOT NULL
) STRICT;
CREATE INDEX asked_name ON asked (name);

-- which accounts a call touches, a JSON list of their ids; texts.
CREATE TABLE chain (id INTEGER PRIMARY KEY, accounts TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;

-- One call. `n` is the number of the line that set its amounts aside; the line that closed it has the number n + closing.
-- Both lines are this row, read in two ways; only corrections are lines of their own (`entry`).
CREATE TABLE call (
  n INTEGER PRIMARY KEY,
  id ANY NOT NULL UNIQUE,              -- 16 bytes for our ids, 17 for UUIDs, else the text
  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),           -- 0 pending, 1 posted, 2 voided, 3 assumed
  started_at INTEGER NOT NULL,
  who INTEGER NOT NULL REFERENCES who,
  asked INTEGER NOT NULL REFERENCES asked,
  chain INTEGER REFERENCES chain,
  turn INTEGER, loop INTEGER,
  quote_nanos INTEGER,
  held TEXT,                           -- amounts set aside; empty where they are the quote in USD, else 1
  flags INTEGER NOT NULL CHECK (flags BETWEEN 0 AND 15),  -- 1 the quote is a bound, 2 unverified, 4 from a cache, 8 corrected
  max_output_tokens INTEGER,
  signature ANY,                       -- 16 bytes for a digest
  origins INTEGER REFERENCES word,     -- where the parts of the prompt came from
  sizes TEXT,                          -- characters:messages:new characters of each part; ":1:0" is left out
  expires_at INTEGER, process TEXT,    -- while pending
  closing INTEGER CHECK (closing > 0), -- corrected: that line has moved to `entry`
  ended_after INTEGER,                 -- microseconds after started_at
  outcome INTEGER CHECK (outcome BETWEEN 0 AND 3),                -- 0 completed, 1 failed, 2 cancelled, 3 unknown
  certainty INTEGER CHECK (certainty BETWEEN 0 AND 3),            -- 0 exact, 1 estimated, 2 unpriced, 3 assumed
  spent TEXT,                          -- actual amounts; empty where they follow from cost, tokens and time
  cost_nanos INTEGER,
  input_tokens INTEGER, output_tokens INTEGER, cache_read_input_tokens INTEGER, cache_creation_input_tokens INTEGER,
  reasoning_output_tokens INTEGER,
  duration_seconds REAL,
  answered INTEGER REFERENCES word,    -- the model that answered
  provider_request_id TEXT, attempt_count INTEGER,
  tools INTEGER REFERENCES word,       -- tools the answer asks for
  result_hash ANY, result_chars INTEGER,
  more TEXT,                           -- what few calls have, as JSON: error, error_status, note, rare token counts
  CHECK ((state = 0) = (closing IS NULL)), CHECK ((state = 0) = (expires_at IS NOT NULL))
) STRICT;
CREATE INDEX call_who ON call (who);
CREATE INDEX call_pending ON call (expires_at) WHERE expires_at IS NOT NULL;

-- Lines that no call's row says: corrections, the lines they corrected, and what became of lost leases. Never changed.
CREATE TABLE entry (
  sequence INTEGER PRIMARY KEY,
  call_id ANY NOT NULL,
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
CREATE INDEX event_kind ON event (kind);

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
CREATE TABLE tombstone (call_id ANY NOT NULL PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
