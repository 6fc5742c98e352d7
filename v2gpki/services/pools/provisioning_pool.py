"""PCP, the pool of provisioning certificates: which vehicles are known, by their PCID.

A chain is registered when its leaf meets the profile of an OEM provisioning certificate and leads to a trusted OEM
or V2G root, when nothing says that it was revoked, and when the WMI at the front of its PCID is the registering
party's. A renewed certificate replaces the one before and withdraws what was made for its key; deleting a vehicle
purges its contracts. PCIDs are kept in capitals: two writings of one PCID are one vehicle.
Clauses: [V2G2-933], [V2G2-925], [V2G20-2333], [V2G20-2342]; VDE-AR-E 2802-100-1; OPCP provisioning pool.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Literal

from cryptography.x509.oid import NameOID

from v2gpki.certs.chain import leaf_of
from v2gpki.certs.view import CertificateView, view
from v2gpki.clock import rfc3339
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.identifiers import Identifier
from v2gpki.keys.suites import SUITES, family_of
from v2gpki.profile.load import Catalogue
from v2gpki.services.pools.contract_certificates import valid_certificates
from v2gpki.services.pools.ownership import Ownership
from v2gpki.services.pools.pcid import parsed_pcid, pcid_key
from v2gpki.services.pools.root_pool import RootPool
from v2gpki.services.pools.takeover import other_root
from v2gpki.services.pools.writing import Writing
from v2gpki.services.standing import Standing
from v2gpki.services.trust import TrustedChain, judge
from v2gpki.store.pool_records import Contract, PooledVehicle
from v2gpki.store.protocol import Store

_CLAUSE = "VDE-AR-E 2802-100-1; OPCP provisioning pool"
#: The branch of an edition whose leafs are provisioning certificates.
BRANCH = "oem"


@dataclass(frozen=True, slots=True)
class ProvisioningPolicy:
    """What is a matter of policy when vehicles are registered.

    ``bind_on_first_use``: a party that registers under a WMI that nobody owns becomes its owner; otherwise it is
    refused, and only the home itself may register there. ``require_evidence``: the chain must be known to be
    unrevoked, by CRLs or OCSP answers that came with it; otherwise missing evidence is unknown and passes.
    ``tolerate``: ``role.*`` or lint codes that are only noted in every registration.
    """

    bind_on_first_use: bool = False
    require_evidence: bool = False
    tolerate: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Registered:
    """A vehicle as it stands in the pool, and how it came there.

    ``state``: ``new``; ``renewed`` (another leaf took the place of the one before); ``updated`` (same leaf, another
    chain or other roots); ``unchanged``. ``withdrawn`` are the contracts whose bundles were made for the key before
    and are made anew when they are next asked for; ``notes`` what was noticed short of a refusal.
    """

    vehicle: PooledVehicle
    role: str
    state: Literal["new", "renewed", "updated", "unchanged"]
    withdrawn: tuple[Contract, ...] = ()
    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion took out of the pool, and the contracts that it purged. ``revoked`` are the certificates
    (issuer id, serial) of those that it revoked, ``valid`` those that stay valid."""

    vehicles: tuple[PooledVehicle, ...]
    purged: tuple[Contract, ...]
    revoked: tuple[tuple[str, int], ...] = ()
    valid: tuple[tuple[str, int], ...] = ()


class ProvisioningPool:
    """The vehicles of one home. Safe from threads as far as its store is."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        roots: RootPool,
        seal: Callable[[], None],
        *,
        ready: Callable[[], None] | None = None,
        policy: ProvisioningPolicy | None = None,
    ) -> None:
        """``seal`` signs the audit log's head after a write; ``ready`` raises when the home cannot be written."""
        self._store = store
        self._catalogue = catalogue
        self._roots = roots
        self._standing = Standing(store)
        self._writing = Writing(seal, ready)
        self.policy = policy or ProvisioningPolicy()
        #: Which WMI belongs to which party.
        self.owners = Ownership(store, self._writing)

    # -- registering ---------------------------------------------------------------------------

    def register(
        self,
        chain: Sequence[bytes],
        *,
        edition: str | None = None,
        owner: str = "",
        v2g_roots: Sequence[bytes] = (),
        previous_pcid: str = "",
        crls: Sequence[bytes] = (),
        ocsps: Sequence[bytes] = (),
        tolerate: Collection[str] = (),
        require_evidence: bool = False,
        bind_on_first_use: bool = False,
        accept_other_root: bool = False,
        at: datetime,
        caller: str,
    ) -> Registered:
        """Register a provisioning certificate with its chain (DER, any order, with or without the root).

        ``edition`` None recognises it by the leaf's key. ``owner`` is the registering party, "" the home itself.
        ``v2g_roots`` are key identifiers of the V2G roots that the vehicle holds, ``previous_pcid`` the PCID that the
        vehicle had before. ``crls`` and ``ocsps`` are evidence; ``tolerate``, ``require_evidence`` and
        ``bind_on_first_use`` add to the policy's. ``accept_other_root`` lets a PCID change to another root.

        Registering the same again changes nothing and says so. Raises ``path.*`` and ``role.*`` with all findings,
        ``pool.wrong_family``, ``pool.needs_edition``, ``pool.foreign_wmi``, ``pool.unbound_wmi``, ``pool.other_root``,
        ``pool.bad_key_identifier``, ``identifier.invalid``, ``chain.*``.
        """
        leaf = leaf_of([view(der) for der in dict.fromkeys(chain)])
        named, role, family = self._kind(leaf, edition)
        trusted = judge(
            chain,
            self._roots.trusted(self._catalogue.profile(named, role, family).anchors, named),
            catalogue=self._catalogue,
            role=role,
            edition=named,
            suite=family,
            at=at,
            crls=crls,
            ocsps=ocsps,
            require_evidence=require_evidence or self.policy.require_evidence,
            tolerate=self.policy.tolerate | frozenset(tolerate),
        )
        self._standing.require(trusted.path.certificates)
        identifier = _pcid_of(leaf)
        pcid = identifier.parts["key"]
        previous = _previous(previous_pcid, pcid)
        self.admit(pcid, owner, bind_on_first_use=bind_on_first_use)
        vehicle = PooledVehicle(
            pcid=pcid,
            edition=named,
            suite=_suite_of(leaf),
            chain=trusted.path.certificates[:-1],
            fingerprint=leaf.fingerprint,
            receiver=sha256(leaf.spki).digest(),
            not_after=leaf.not_after,
            owner=owner,
            registered_at=at,
            registered_by=caller,
            v2g_roots=_key_identifiers(v2g_roots),
            previous_pcid=previous,
        )
        before = self._store.pools.vehicle(pcid, named, vehicle.suite)
        notes = (*identifier.warnings, *trusted.notes, *_noticed(trusted, leaf, vehicle, before))
        root = trusted.path.certificates[-1]
        notes += other_root(self._store, pcid, named, vehicle.suite, root, accepted=accept_other_root)
        return self._written(Registered(vehicle, role, "new", notes=notes), before)

    def admit(self, pcid: str, owner: str = "", *, bind_on_first_use: bool = False) -> None:
        """Whether this party may register this PCID; raises ``pool.foreign_wmi``, ``pool.unbound_wmi``.

        A WMI that belongs to a party is for that party alone. One that belongs to nobody may be used by the home
        itself, and by a named party only if it is bound on first use.
        """
        wmi = pcid_key(pcid)[:3]
        bound = self.owners.of("wmi", wmi)
        facts = {"wmi": wmi, "owner": owner}
        if bound is None and owner and not (bind_on_first_use or self.policy.bind_on_first_use):
            raise V2GPKIError(
                "pool.unbound_wmi",
                f"the WMI {wmi} belongs to nobody yet, so {owner} may not register {pcid}",
                hint=f"give it to that party first: v2gpki pcp owner bind --wmi {wmi} --owner {shlex.quote(owner)}",
                clause=_CLAUSE,
                facts=facts,
            )
        if bound is not None and bound.owner != owner:
            who = owner or "the home itself"
            raise V2GPKIError(
                "pool.foreign_wmi",
                f"the WMI {wmi} belongs to {bound.owner}: {who} may not touch {pcid}",
                hint=f"act as that party (--owner {shlex.quote(bound.owner)}), or take the WMI from it: "
                f"v2gpki pcp owner release --wmi {wmi}",
                clause=_CLAUSE,
                facts={**facts, "bound_to": bound.owner},
            )

    def admit_below(
        self, issuer_id: str, pcid: str, edition: str, suite: str, *, accept_other_root: bool = False
    ) -> None:
        """Whether what this authority of the home issues may be registered for a PCID; raises ``pool.other_root`` when
        the PCID is registered under another root and that is not accepted."""
        issuer = self._store.authority(issuer_id)
        if issuer is not None:
            root = (issuer.der, *issuer.chain)[-1]
            other_root(self._store, pcid_key(pcid), edition, suite, root, accepted=accept_other_root)

    # -- asking --------------------------------------------------------------------------------

    def roles(self, edition: str) -> tuple[str, ...]:
        """The roles of an edition whose certificates are registered here; empty when it knows no vehicles."""
        branch = self._catalogue.edition(edition).branches.get(BRANCH)
        return () if branch is None else branch.leafs

    def find(self, pcid: str, edition: str, suite: str = "") -> PooledVehicle | None:
        """One vehicle by its PCID in any writing; ``suite`` "" takes the newest of the edition. None: unknown. Raises
        ``identifier.invalid``, as everything does here that takes one PCID."""
        return self._store.pools.vehicle(pcid_key(pcid), edition, suite)

    def find_all(self, pcid: str, edition: str = "") -> tuple[PooledVehicle, ...]:
        """What is registered for one PCID in any writing, in one edition or in all: a row for each key family."""
        return tuple(self._store.pools.vehicles(pcid=pcid_key(pcid), edition=edition))

    def all_of(self, pcid: str) -> tuple[PooledVehicle, ...]:
        """Like ``find_all``, but ``pool.unknown_vehicle`` when it is nothing."""
        found = self.find_all(pcid)
        if not found:
            raise unknown_vehicle(pcid)
        return found

    def list(self, *, pcid: str = "", edition: str = "", owner: str | None = None) -> Iterator[PooledVehicle]:
        """Vehicles in the order of registration; ``pcid`` "" is any, ``owner`` "" are the home's own."""
        return self._store.pools.vehicles(pcid=pcid.upper(), edition=edition, owner=owner)

    # -- deleting ------------------------------------------------------------------------------

    def delete(
        self,
        pcid: str,
        *,
        edition: str = "",
        owner: str | None = None,
        revoke: bool = False,
        at: datetime,
        caller: str,
    ) -> Deleted:
        """Take a vehicle out of the pool, in one edition or in all, and purge what was made for it.

        When nothing of the PCID is left its contracts are purged; their certificates stay valid, unless ``revoke``
        revokes them (cessationOfOperation). The vehicle's own certificates are not revoked by this. ``owner`` None is
        the administrator of the home, who may delete anything; a party deletes only under its own WMI. Raises
        ``pool.unknown_vehicle``, ``pool.foreign_wmi``, ``pool.unbound_wmi``, ``identifier.invalid``.
        """
        found = tuple(one for one in self.all_of(pcid) if edition in ("", one.edition))
        if not found:
            raise unknown_vehicle(pcid, edition)
        if owner is not None:
            self.admit(found[0].pcid, owner)
        reason = "cessationOfOperation" if revoke else ""
        key = found[0].pcid
        before = [one.id for one in self._store.pools.contracts(pcid=key, state="active")]
        valid = [pair for one in before for pair in valid_certificates(self._store, one, at)]
        with self._writing():
            purged = self._store.pools.delete_vehicle(key, at, caller, edition=edition, revoke=reason)
        left = tuple(pair for contract in purged for pair in valid_certificates(self._store, contract.id, at))
        return Deleted(found, purged, tuple(pair for pair in valid if purged and pair not in left), left)

    # -- steps ---------------------------------------------------------------------------------

    def _kind(self, leaf: CertificateView, edition: str | None) -> tuple[str, str, str]:
        """(edition, role, family) of a provisioning certificate with this leaf's key."""
        key = _suite_of(leaf)
        if edition is not None:
            names: tuple[str, ...] = (self._catalogue.edition(edition).name,)
        else:
            names = tuple(name for name in self._catalogue.editions() if self._catalogue.edition(name).conformant)
        fitting = [
            (name, role, family)
            for name in names
            for role in self.roles(name)
            for family in self._catalogue.suites(name, role)
            if self._catalogue.profile(name, role, family).key.suite == key
        ]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise V2GPKIError(
                "pool.needs_edition",
                f"a {key} key may be a vehicle's in {', '.join(name for name, _, _ in fitting)}",
                hint="name the edition with --edition",
                facts={"subject": leaf.subject_text, "editions": [name for name, _, _ in fitting]},
            )
        titled = SUITES[key].title if key else "of no family of ISO 15118"
        raise V2GPKIError(
            "pool.wrong_family",
            f"the key of {leaf.subject_text} is {titled}; {edition or 'no edition'} takes it for a vehicle",
            hint="ISO 15118-2 takes P-256; ISO 15118-20 takes P-521, Ed448 and, for key agreement, X448",
            clause="[V2G2-007], [V2G20-2674], [V2G20-2319]",
            facts={"subject": leaf.subject_text, "suite": key, "edition": edition or ""},
        )

    def _written(self, wanted: Registered, before: PooledVehicle | None) -> Registered:
        """Write what is new of a registration; ``before`` is the row of this PCID, edition and key family."""
        vehicle = wanted.vehicle
        if before is not None and before.fingerprint == vehicle.fingerprint:
            # What is not told again is not taken back.
            vehicle = replace(vehicle, v2g_roots=vehicle.v2g_roots or before.v2g_roots)
            if (before.chain, before.v2g_roots) == (vehicle.chain, vehicle.v2g_roots):
                return replace(wanted, vehicle=before, state="unchanged")
        with self._writing():
            wmi, at, caller = vehicle.pcid[:3], vehicle.registered_at, vehicle.registered_by
            if vehicle.owner and self._store.pools.prefix("wmi", wmi) is None:
                self.owners.bind("wmi", wmi, vehicle.owner, at=at, caller=caller)
            withdrawn = self._store.pools.register_vehicle(vehicle)
        stored = self._store.pools.vehicle(vehicle.pcid, vehicle.edition, vehicle.suite) or vehicle
        state: Literal["new", "renewed", "updated"] = "new"
        if before is not None:
            state = "updated" if before.fingerprint == vehicle.fingerprint else "renewed"
        return replace(wanted, vehicle=stored, state=state, withdrawn=withdrawn)


def unknown_vehicle(pcid: str, edition: str = "") -> V2GPKIError:
    """The refusal of a PCID that nobody registered."""
    where = f" for {edition}" if edition else ""
    return V2GPKIError(
        "pool.unknown_vehicle",
        f"no provisioning certificate is registered for the PCID {pcid[:40]!a}{where}",
        hint="v2gpki pcp register --chain FILE registers one; v2gpki pcp list shows them all",
        clause=_CLAUSE,
        facts={"pcid": pcid[:40], "edition": edition},
    )


def key_identifier_of(root: bytes) -> bytes:
    """The subject key identifier of a root certificate (DER): how a vehicle's V2G root is named."""
    seen = view(root)
    if not seen.key_identifier:
        raise V2GPKIError(
            "pool.bad_key_identifier",
            f"{seen.subject_text} has no SubjectKeyIdentifier to be named by",
            hint="leave this root out, or take the one that its owner issued with it",
            clause="RFC 5280 4.2.1.2",
            facts={"subject": seen.subject_text, "fingerprint": seen.fingerprint.hex()},
        )
    return seen.key_identifier


def _suite_of(leaf: CertificateView) -> str:
    family = family_of(leaf.spki)
    return "" if family is None else family.name


def _pcid_of(leaf: CertificateView) -> Identifier:
    """The PCID in the leaf's one common name."""
    names = [str(name.value) for name in leaf.x509.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    hint = f"the subject of the leaf ({leaf.subject_text}) holds it as CN"
    return parsed_pcid(names[0] if len(names) == 1 else "", hint)


def _previous(given: str, pcid: str) -> str:
    if not given:
        return ""
    previous = parsed_pcid(given, "leave the previous PCID out when there was none").parts["key"]
    if previous == pcid:
        raise V2GPKIError(
            "pool.bad_previous",
            f"{pcid} cannot be its own predecessor",
            hint="give the PCID that the vehicle had before, or leave it out when the PCID stays",
            clause=_CLAUSE,
            facts={"pcid": pcid},
        )
    return previous


def _key_identifiers(given: Sequence[bytes]) -> tuple[bytes, ...]:
    for one in given:
        if not 1 <= len(one) <= 64:
            raise V2GPKIError(
                "pool.bad_key_identifier",
                f"a key identifier of a V2G root has 1 to 64 octets, not {len(one)}",
                hint="give the SubjectKeyIdentifier of the root: 8 or 20 octets in the field",
                clause="RFC 5280 4.2.1.2",
                facts={"octets": len(one)},
            )
    return tuple(dict.fromkeys(given))


def _noticed(
    trusted: TrustedChain, leaf: CertificateView, vehicle: PooledVehicle, before: PooledVehicle | None
) -> Iterator[Finding]:
    if trusted.expires_soon:
        message = f"{leaf.subject_text} ends {rfc3339(leaf.not_after)}, inside the window of notice"
        yield _note("pool.expires_soon", message, leaf, "validity.notAfter")
    if before is None:
        return
    if before.fingerprint != leaf.fingerprint:
        if leaf.not_before < view(before.chain[0]).not_before:
            message = f"{leaf.subject_text} is older than the certificate that it replaces"
            yield _note("pool.older_leaf", message, leaf, "validity.notBefore")
    elif vehicle.owner != before.owner or vehicle.previous_pcid not in ("", before.previous_pcid):
        message = (
            f"{before.pcid} stays as {before.owner or 'the home itself'} registered it: with the same certificate only "
            "the chain above it and the roots of the vehicle are taken over"
        )
        yield _note("pool.kept_as_registered", message, leaf, "owner")


def _note(code: str, message: str, leaf: CertificateView, where: str) -> Finding:
    return Finding(code, "warning", message, _CLAUSE, where, leaf.subject_text)
