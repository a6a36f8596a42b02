-- readable_by: 1
-- The ledger's tables. Amounts are whole numbers of a unit's smallest part (USD: nano-USD), times are microseconds UTC.
CREATE TABLE meta (key text PRIMARY KEY, value text NOT NULL);
INSERT INTO meta VALUES ('breaker', '0'), ('ledger', md5(random()::text || clock_timestamp()::text || txid_current()::text));

-- One counter of the book; a cache that `verify` recomputes from the entries. Keys may be longer than a b-tree takes, so a hash
-- keeps them apart. Half of a page is left free: the rows that everybody changes are changed in place.
CREATE TABLE account (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  posted bigint NOT NULL DEFAULT 0 CHECK (posted BETWEEN 0 AND 4611686018427387904),
  pending bigint NOT NULL DEFAULT 0 CHECK (pending BETWEEN 0 AND 4611686018427387904),
  assumed bigint NOT NULL DEFAULT 0 CHECK (assumed BETWEEN 0 AND 4611686018427387904),
  leased bigint NOT NULL DEFAULT 0 CHECK (leased BETWEEN 0 AND 4611686018427387904),
  shown_limit bigint,
  window_start bigint,
  window_end bigint,
  unit text NOT NULL,
  title text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  CONSTRAINT account_key EXCLUDE USING hash (key WITH =)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

-- One call: who pays, what was set aside in which accounts (in the caller's order), how it ended. Token counts of 0 are not kept,
-- but for the input's: without it nothing is known. Some of a page is left free for how it ends.
CREATE TABLE call (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  started_at bigint NOT NULL,
  ended_at bigint, quote_nanos bigint, cost_nanos bigint,
  duration_seconds double precision,
  input_tokens bigint, output_tokens bigint, cache_read_input_tokens bigint, cache_creation_input_tokens bigint,
  cache_creation_1h_input_tokens bigint, reasoning_output_tokens bigint, input_audio_tokens bigint,
  cache_audio_read_tokens bigint, output_audio_tokens bigint, input_image_tokens bigint, output_image_tokens bigint,
  web_search_count bigint, result_chars bigint, max_output_tokens bigint,
  turn integer, loop integer, error_status integer, attempt_count integer,
  quote_is_bound boolean NOT NULL, unverified boolean NOT NULL, from_cache boolean,
  id text COLLATE "C" NOT NULL UNIQUE,
  kind text NOT NULL, name text NOT NULL, state text NOT NULL,
  app text NOT NULL, feature text, team text, owner text, agent text, instance text, "user" text, session text, run text,
  release text, tags text, provider text, account text, key_fingerprint text, signature text, parts text,
  policy_hash text NOT NULL, outcome text, certainty text, model_answered text, provider_request_id text, error text,
  tool_names text, result_hash text, note text,
  accounts bigint[] NOT NULL, held bigint[] NOT NULL,
  amounts bigint[],     -- in the order of the accounts; NULL where the settlement names none
  other_amounts text,   -- what a settlement names besides them
  source integer        -- of a fleet: whose ledger it comes from
) WITH (fillfactor = 80);
CREATE INDEX call_session ON call (session, started_at) WHERE session IS NOT NULL;
CREATE INDEX call_run ON call (run, started_at) WHERE run IS NOT NULL;
CREATE INDEX call_started ON call (started_at);

-- What is set aside for a call in flight: until when, by whom. Gone with the call's end.
CREATE TABLE hold (call bigint PRIMARY KEY, expires_at bigint NOT NULL, process text NOT NULL);
CREATE INDEX hold_expires ON hold (expires_at);

-- The lines of the book: written once, never changed. What a line does to an account follows from what its call holds (pending)
-- and from what is here (posted, assumed), in the order of the call's accounts. A line of no call says its accounts itself.
CREATE TABLE entry (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  call bigint,
  at bigint NOT NULL,
  cost_nanos bigint NOT NULL DEFAULT 0,
  was_pending boolean NOT NULL DEFAULT false,
  kind text NOT NULL,
  reason text,
  posted bigint[],
  assumed bigint[],
  call_id text,
  accounts bigint[],
  token text,
  source integer,       -- of a fleet: whose ledger it comes from,
  line bigint           -- and its number there
);
CREATE INDEX entry_call ON entry (call);
CREATE UNIQUE INDEX entry_token ON entry (token) WHERE token IS NOT NULL;
CREATE UNIQUE INDEX entry_line ON entry (source, line) WHERE source IS NOT NULL;

CREATE TABLE event (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at bigint NOT NULL,
  id text COLLATE "C" NOT NULL UNIQUE,
  kind text NOT NULL, severity text NOT NULL, message text NOT NULL,
  app text NOT NULL, session text, run text, agent text, feature text, call_id text, facts text NOT NULL
);
CREATE INDEX event_session ON event (session) WHERE session IS NOT NULL;
CREATE INDEX event_at ON event (at);
CREATE INDEX event_kind ON event (kind);

CREATE TABLE latch (
  scope_kind text NOT NULL, scope_id text NOT NULL, state text NOT NULL, rule text NOT NULL, reason text NOT NULL,
  since bigint NOT NULL, until bigint, account_key text, marks text NOT NULL, session text, set_by text NOT NULL,
  PRIMARY KEY (scope_kind, scope_id)
);

CREATE TABLE limit_override (
  account_key text NOT NULL, amount bigint NOT NULL CHECK (amount >= 0), set_by text NOT NULL,
  reason text NOT NULL, since bigint NOT NULL, until bigint,
  CONSTRAINT override_key EXCLUDE USING hash (account_key WITH =)
);

-- Ids that were voided before they were reserved: a reserve that arrives late must not slip in.
CREATE TABLE tombstone (call_id text PRIMARY KEY, at bigint NOT NULL);

-- Processes that spend leases, and what is left of them.
CREATE TABLE lease_owner (
  id text PRIMARY KEY, host text NOT NULL, boot_id text NOT NULL, journal text NOT NULL, applied bigint NOT NULL,
  deadline bigint NOT NULL
);
CREATE TABLE lease (
  owner text NOT NULL, account bigint NOT NULL, rest bigint NOT NULL CHECK (rest BETWEEN 0 AND 4611686018427387904),
  PRIMARY KEY (owner, account)
) WITH (fillfactor = 50);
CREATE INDEX lease_account ON lease (account);

-- Ledgers of a fleet that are shipped here: whose, up to which of their lines, when last (UTC).
CREATE TABLE source (
  number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ledger text NOT NULL UNIQUE,
  host text NOT NULL,
  place text NOT NULL,
  line bigint NOT NULL,
  shipped_at bigint NOT NULL
);
