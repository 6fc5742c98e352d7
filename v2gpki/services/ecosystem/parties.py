"""Who takes part in the ecosystem and what each may do: MO, OEM, CPO, CPS, and the operator of the pools.

A party acts in roles, which its credential grants; what it may touch within a role is decided by the prefixes that
are bound to it: an OEM's vehicles by their WMI, an MO's contracts by country and provider of the EMAID. The operator
of the pools (``admin``) is the home itself and may do everything.
Sources: VDE-AR-E 2802-100-1; OPCP 1.0, roles of each operation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from v2gpki.errors import V2GPKIError
from v2gpki.services.pools import Ownership
from v2gpki.services.pools.ownership import PREFIXES, binding
from v2gpki.store.pool_records import PrefixKind

Role: TypeAlias = Literal["mo", "oem", "cpo", "cps", "admin"]
#: Every role with the words that people use for it.
ROLES: dict[Role, str] = {
    "mo": "mobility operator",
    "oem": "vehicle manufacturer",
    "cpo": "charge point operator",
    "cps": "certificate provisioning service",
    "admin": "operator of the pools",
}


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody who calls: ``name`` owns prefixes, ``caller`` stands in the audit log, ``roles`` are those granted."""

    name: str
    roles: frozenset[Role]
    caller: str = ""

    @property
    def operator(self) -> bool:
        """Whether this is the operator of the pools."""
        return "admin" in self.roles

    @property
    def by(self) -> str:
        """Who did it, for the audit log."""
        return self.caller or self.name

    @property
    def owner(self) -> str:
        """The party as the pools know it: the operator is the home itself."""
        return "" if self.operator else self.name

    def plays(self, *roles: Role) -> bool:
        """Whether it acts in one of these roles; the operator acts in all."""
        return self.operator or not self.roles.isdisjoint(roles)

    def require(self, *roles: Role) -> None:
        """Raise ``ecosystem.no_role`` unless it acts in one of these roles."""
        if not self.plays(*roles):
            wanted = " or ".join(ROLES[role] for role in roles)
            raise V2GPKIError(
                "ecosystem.no_role",
                f"{self.name or 'the caller'} is no {wanted} here",
                hint="use a credential with the scope of that role",
                clause="OPCP 1.0, roles",
                facts={"party": self.name, "roles": list(roles)},
            )


def admit_vehicle(owners: Ownership, party: Party, pcid: str, *, beside: tuple[Role, ...] = ()) -> None:
    """Raise ``ecosystem.foreign_identifier`` unless the WMI of a PCID is bound to this party, as an OEM's is.

    ``beside`` are other roles in which the operation may be called, for whatever vehicle; the operator may always.
    """
    if not (party.plays(*beside) or owns_vehicle(owners, party, pcid)):
        raise _foreign(party, "PCID", pcid, "wmi")


def admit_contract(owners: Ownership, party: Party, emaid: str) -> None:
    """Raise ``ecosystem.foreign_identifier`` unless this MO may act for an EMAID: its country and provider are bound to
    it. The operator of the pools may use what nobody owns."""
    bound = owners.of("mo", emaid)
    if bound is None and party.operator:
        return
    if bound is None or (bound.owner != party.name and not party.operator):
        raise _foreign(party, "EMAID", emaid, "mo")


def owns_vehicle(owners: Ownership, party: Party, pcid: str) -> bool:
    """Whether this is the OEM that the WMI of a PCID is bound to; the operator stands for each."""
    return party.operator or (party.plays("oem") and _bound(owners, "wmi", pcid, party))


def owns_contract(owners: Ownership, party: Party, emaid: str) -> bool:
    """Whether this is the MO that country and provider of an EMAID are bound to; the operator stands for each."""
    return party.operator or (party.plays("mo") and _bound(owners, "mo", emaid, party))


def _bound(owners: Ownership, kind: PrefixKind, identifier: str, party: Party) -> bool:
    bound = owners.of(kind, identifier)
    return bound is not None and bound.owner == party.name


def _foreign(party: Party, what: str, identifier: str, kind: PrefixKind) -> V2GPKIError:
    length, name = PREFIXES[kind]
    prefix = identifier[:length].upper()
    return V2GPKIError(
        "ecosystem.foreign_identifier",
        f"the {what} {identifier[:40]} is not this party's: {prefix} ({name}) is not bound to it",
        hint=f"the operator of the pools gives it to its party: {binding(kind, prefix, party.name)}",
        clause="VDE-AR-E 2802-100-1",
        facts={"identifier": identifier[:40], "prefix": prefix},
    )
