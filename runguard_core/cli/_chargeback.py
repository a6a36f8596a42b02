"""`runguard chargeback`: statements of a period."""
