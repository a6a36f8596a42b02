"""`runguard import`: recordings into a ledger."""
