"""`runguard plan`: budgets that mean something."""
