"""Exports for warehouses: CSV, JSONL, Parquet, FOCUS."""
