"""Leases: a process takes slices of shared accounts and spends them in memory."""

from runguard_core.stores.leases._host import Host
from runguard_core.stores.leases._leased import Leased

__all__ = ["Host", "Leased"]
