"""Budgets that mean something: plans, reserves, limits that follow value, forecasts, proposals."""
