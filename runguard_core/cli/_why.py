"""`runguard why`: what changed a spend."""
