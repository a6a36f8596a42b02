"""`runguard reconcile`: a provider's bill beside the ledger."""
