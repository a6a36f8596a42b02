"""Showback and chargeback: statements of a closed period that add up to the ledger."""
