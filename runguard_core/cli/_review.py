"""`runguard review`: weekly, sprint, quarter, digest."""
