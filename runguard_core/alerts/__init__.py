"""Alerts: an outbox in the ledger, and the destinations that it is delivered to."""
