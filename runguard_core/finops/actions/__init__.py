"""Actions and wins: a backlog in the ledger, and savings measured before and after."""
