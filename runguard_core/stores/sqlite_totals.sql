
-- Sums of settled calls, kept in the transaction that settles them; `verify` recomputes them. What is pending is read from the
-- calls. By quarters of an hour since 1970 (UTC) of the admission, who paid, what was asked and which model answered (0: unknown):
CREATE TABLE quarter_total (
  quarter INTEGER NOT NULL, payer INTEGER NOT NULL, asked INTEGER NOT NULL, answered INTEGER NOT NULL,
  first_n INTEGER NOT NULL, last_n INTEGER NOT NULL,     -- no call of the quarter lies outside of these
  call_count INTEGER NOT NULL, tool_count INTEGER NOT NULL, unpriced_count INTEGER NOT NULL, cost_nanos INTEGER NOT NULL,
  exact_nanos INTEGER NOT NULL, estimated_nanos INTEGER NOT NULL, assumed_nanos INTEGER NOT NULL, pending_nanos INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cache_read_input_tokens INTEGER NOT NULL,
  cache_creation_input_tokens INTEGER NOT NULL, cache_creation_1h_input_tokens INTEGER NOT NULL,
  reasoning_output_tokens INTEGER NOT NULL, input_audio_tokens INTEGER NOT NULL, cache_audio_read_tokens INTEGER NOT NULL,
  output_audio_tokens INTEGER NOT NULL, input_image_tokens INTEGER NOT NULL, output_image_tokens INTEGER NOT NULL,
  web_search_count INTEGER NOT NULL,
  PRIMARY KEY (quarter, payer, asked, answered)
) STRICT, WITHOUT ROWID;

-- By whose run it was, with the instants of its first and latest admission.
CREATE TABLE who_total (
  who INTEGER PRIMARY KEY,
  first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
  call_count INTEGER NOT NULL, tool_count INTEGER NOT NULL, unpriced_count INTEGER NOT NULL, cost_nanos INTEGER NOT NULL,
  exact_nanos INTEGER NOT NULL, estimated_nanos INTEGER NOT NULL, assumed_nanos INTEGER NOT NULL, pending_nanos INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cache_read_input_tokens INTEGER NOT NULL,
  cache_creation_input_tokens INTEGER NOT NULL, cache_creation_1h_input_tokens INTEGER NOT NULL,
  reasoning_output_tokens INTEGER NOT NULL, input_audio_tokens INTEGER NOT NULL, cache_audio_read_tokens INTEGER NOT NULL,
  output_audio_tokens INTEGER NOT NULL, input_image_tokens INTEGER NOT NULL, output_image_tokens INTEGER NOT NULL,
  web_search_count INTEGER NOT NULL
) STRICT;
