"""The pools of Plug & Charge: whose roots are trusted (RCP), which vehicles are known (PCP), who charges for
them (CCP).

Each pool is a thin service over `Store.pools` that adds the rules; what is a matter of taste stands in a policy
value of its own. Times and callers are arguments; every write is sealed by what the caller of the pool gave.
Sources: VDE-AR-E 2802-100-1, OPCP 1.0.
"""

from __future__ import annotations

from v2gpki.services.pools.contract_pool import ELSEWHERE, ContractPolicy, ContractPool, Ended, Selection
from v2gpki.services.pools.ownership import Ownership
from v2gpki.services.pools.provisioning_pool import Deleted, ProvisioningPolicy, ProvisioningPool, Registered
from v2gpki.services.pools.root_pool import Added, RootEntry, RootPolicy, RootPool

__all__ = [
    "ELSEWHERE",
    "Added",
    "ContractPolicy",
    "ContractPool",
    "Deleted",
    "Ended",
    "Ownership",
    "ProvisioningPolicy",
    "ProvisioningPool",
    "Registered",
    "RootEntry",
    "RootPolicy",
    "RootPool",
    "Selection",
]
