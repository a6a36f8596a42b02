-- Made when rows of old calls are dropped for the first time (`runguard prune`): what stands for them. One row for the settled
-- calls that began in one quarter of an hour and had run, what was asked, the answering model (0: unknown) and state in common.
CREATE TABLE IF NOT EXISTS carried (
  quarter INTEGER NOT NULL, who INTEGER NOT NULL REFERENCES who, asked INTEGER NOT NULL REFERENCES asked,
  answered INTEGER NOT NULL, state INTEGER NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
  call_count INTEGER NOT NULL, tool_count INTEGER NOT NULL, unpriced_count INTEGER NOT NULL, cost_nanos INTEGER NOT NULL,
  exact_nanos INTEGER NOT NULL, estimated_nanos INTEGER NOT NULL, assumed_nanos INTEGER NOT NULL, pending_nanos INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cache_read_input_tokens INTEGER NOT NULL,
  cache_creation_input_tokens INTEGER NOT NULL, cache_creation_1h_input_tokens INTEGER NOT NULL,
  reasoning_output_tokens INTEGER NOT NULL, input_audio_tokens INTEGER NOT NULL, cache_audio_read_tokens INTEGER NOT NULL,
  output_audio_tokens INTEGER NOT NULL, input_image_tokens INTEGER NOT NULL, output_image_tokens INTEGER NOT NULL,
  web_search_count INTEGER NOT NULL,
  PRIMARY KEY (quarter, who, asked, answered, state)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS carried_who ON carried (who);

-- What the dropped lines did to each account.
CREATE TABLE IF NOT EXISTS carried_account (
  account INTEGER PRIMARY KEY REFERENCES account, posted INTEGER NOT NULL, assumed INTEGER NOT NULL
) STRICT;
