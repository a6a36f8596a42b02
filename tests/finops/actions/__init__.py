"""Tests of the backlog and of what it saved."""
