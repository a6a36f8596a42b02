"""What providers bill beside what the ledger says."""
