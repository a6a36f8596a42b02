"""`runguard alerts`: what was sent, and what was not."""
