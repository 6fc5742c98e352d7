"""The rows of the pools as frozen values: roots (RCP), provisioning certificates (PCP), contracts (CCP), and the
signed contract data that was made for vehicles.

Times are aware UTC with whole seconds. Identifiers are in normal form: an EMAID of 14 or 15 characters without
separators, a PCID in capitals. Sources: VDE-AR-E 2802-100-1, OPCP 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

RootDecision = Literal["trusted", "refused"]
ContractState = Literal["active", "ended", "purged"]
BundleState = Literal["ready", "withdrawn"]
#: What a party's credential is bound to: the first three characters of a PCID, the first five of an EMAID or of a
#: station's name.
PrefixKind = Literal["wmi", "mo", "cpo"]


@dataclass(frozen=True, slots=True)
class PooledRoot:
    """A root certificate with the decision about it.

    ``fingerprint`` is the SHA-256 of ``der``; ``role`` the root's role in an edition's words (``v2g-root``,
    ``mo-root``, ``oem-root``, ``private-root``). ``decision`` holds since ``decided_at`` and can be changed; the row
    stays.
    """

    fingerprint: bytes
    der: bytes
    role: str
    decision: RootDecision
    decided_at: datetime
    decided_by: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class PooledVehicle:
    """A vehicle's provisioning certificate: one for each PCID, edition and key family.

    ``chain`` is leaf, Sub-CA 2, Sub-CA 1, without the root; ``fingerprint`` the SHA-256 of the leaf; ``receiver`` the
    SHA-256 of its SubjectPublicKeyInfo. ``owner`` is the party that registered it ("" is the home itself);
    ``v2g_roots`` are authority key identifiers of the V2G roots that the vehicle holds, empty when not told.
    """

    pcid: str
    edition: str
    suite: str
    chain: tuple[bytes, ...]
    fingerprint: bytes
    receiver: bytes
    not_after: datetime
    owner: str
    registered_at: datetime
    registered_by: str
    v2g_roots: tuple[bytes, ...] = ()
    previous_pcid: str = ""


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract of a mobility operator: an EMAID that charges for one vehicle from ``begins`` to ``ends``.

    ``id`` is 32 random hex digits. ``issuer`` names the MO's authority (slug or ``slug@n``), "" takes the one that
    fits. One of a vehicle's active contracts is its ``default``.
    """

    id: str
    emaid: str
    pcid: str
    begins: datetime
    ends: datetime
    created_at: datetime
    created_by: str
    issuer: str = ""
    default: bool = False
    state: ContractState = "active"
    ended_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Signed contract data, ready to be sent: a contract certificate, its wrapped key, and the CPS's signature.

    ``receiver`` is the SHA-256 of the SubjectPublicKeyInfo that the key is wrapped for (the OEM provisioning key,
    or for an update the contract key before), ``v2g_root`` the SHA-256 of the root above the CPS chain, ``issuer_id``
    and ``serial`` the contract certificate's. ``exi`` is a CertificateInstallationRes with session id 0. ``not_after``
    is the end of the shorter of contract certificate and CPS chain. ``replaces`` is the id of the ready bundle for the
    same contract, edition, suite, receiver, root and ``aad`` that its maker saw, "" when there was none: see
    ``Store.commit_results``.

    ``aad`` is the form of the additional authenticated data, "" in -2; ``cps_issuer_id`` and ``cps_serial`` are the CPS
    leaf that signed, "" and 0 when this home did not issue it. ``registered``: the receiver is the key of a vehicle in
    the pool, whose row must still be there when the bundle is written.
    """

    id: str
    contract_id: str
    emaid: str
    pcid: str
    edition: str
    suite: str
    receiver: bytes
    v2g_root: bytes
    issuer_id: str
    serial: int
    exi: bytes
    made_at: datetime
    not_after: datetime
    state: BundleState = "ready"
    replaces: str = ""
    aad: str = ""
    cps_issuer_id: str = ""
    cps_serial: int = 0
    registered: bool = False


@dataclass(frozen=True, slots=True)
class Prefix:
    """The beginning of identifiers that belongs to one party: a WMI, or country and operator."""

    kind: PrefixKind
    prefix: str
    owner: str
    bound_at: datetime
    bound_by: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What a request was answered with: the SHA-256 over action and request octets, and bundles in the order of
    delivery."""

    digest: bytes
    bundles: tuple[str, ...]
    answered_at: datetime
    details: Mapping[str, str] = field(default_factory=dict)
