"""`runguard demo --weeks`: a ledger of many weeks."""
