"""`python -m runguard_core.cli`."""

from runguard_core.cli import main

main()
