"""`runguard actions`: a backlog, and what it saved."""
