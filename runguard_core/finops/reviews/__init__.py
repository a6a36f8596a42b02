"""Reviews of a ledger: weekly, sprint, quarter, and a digest for each owner."""
