
-- A process that spends leases: where its journal is, and up to where the journal is in this book.
CREATE TABLE lease_owner (
  id TEXT NOT NULL PRIMARY KEY,
  host TEXT NOT NULL, boot_id TEXT NOT NULL, journal TEXT NOT NULL,
  applied INTEGER NOT NULL, deadline INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is left of an owner's slice of an account; their sum by account is the account's `leased`.
CREATE TABLE lease (
  owner_id TEXT NOT NULL,
  account_key TEXT NOT NULL,
  rest INTEGER NOT NULL CHECK (rest BETWEEN 0 AND 4611686018427387904),
  PRIMARY KEY (owner_id, account_key)
) STRICT, WITHOUT ROWID;
