"""`runguard owners`: who answers for what."""
