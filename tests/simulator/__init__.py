"""A deterministic simulation of many processes on leases: the production code, one thread, a seeded scheduler, faults at every I/O.

See docs/simulator.md.
"""
