"""The pools as an ecosystem of parties: what MO, OEM, CPO and CPS may ask of this home, in nobody's dialect.

`Ecosystem` joins the desks of root pool, provisioning pool, contract pool, CPS and revocation. Each operation takes the
party that asks, checks its role and its prefixes, and answers with values; `servers.http` writes them as OPCP or OPNC.
What happened is published as events. Sources: VDE-AR-E 2802-100-1, OPCP 1.0, OPNC v1.
"""

from __future__ import annotations

from v2gpki.services.ecosystem.contracts import Answer, ContractDesk, ContractView, Delivered
from v2gpki.services.ecosystem.events import EVENTS, Event, Publish, unheard
from v2gpki.services.ecosystem.foreign import ForeignContracts
from v2gpki.services.ecosystem.parties import ROLES, Party, Role
from v2gpki.services.ecosystem.revocation import RevocationDesk
from v2gpki.services.ecosystem.roots import KINDS, PooledRootView, RootDesk
from v2gpki.services.ecosystem.signing import CpsDesk, GivenData, SignedView, SignerView
from v2gpki.services.ecosystem.vehicles import VehicleDesk, VehicleView

__all__ = [
    "EVENTS",
    "KINDS",
    "ROLES",
    "Answer",
    "ContractDesk",
    "ContractView",
    "CpsDesk",
    "Delivered",
    "Event",
    "ForeignContracts",
    "GivenData",
    "Party",
    "PooledRootView",
    "Publish",
    "RevocationDesk",
    "Role",
    "RootDesk",
    "SignedView",
    "SignerView",
    "VehicleDesk",
    "VehicleView",
    "unheard",
]
