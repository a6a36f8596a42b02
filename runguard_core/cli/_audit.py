"""`runguard audit`: who changed what."""
