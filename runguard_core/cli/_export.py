"""`runguard export`: tables for a warehouse."""
