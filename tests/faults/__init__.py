"""The rows of docs/faults.md that belong to no single part: whole programs, whole processes."""
