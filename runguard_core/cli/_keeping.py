"""`runguard forget` and `runguard prune`: what is no longer kept."""
