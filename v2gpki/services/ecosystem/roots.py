"""The root pool for parties: which roots are trusted, one by its id; the operator adds and takes back.

Refused and unknown roots are told apart by nobody: neither is in the pool for others.
Source: OPCP 1.0 rcp.v1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from cryptography.x509.oid import NameOID

from v2gpki.certs.view import CertificateView, view
from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import suite_of_spki
from v2gpki.services.ecosystem.events import Event, Publish, event
from v2gpki.services.ecosystem.names import ISO2, ISO20_OF_2022, attribute, expiry_id, name_text, names_root, root_id
from v2gpki.services.ecosystem.parties import Party
from v2gpki.services.pools import RootEntry, RootPool

#: A root's use, in the words of OPCP -> the role of our profiles.
KINDS = {"V2G": "v2g-root", "MO": "mo-root", "OEM": "oem-root", "PE": "private-root"}
_KIND_OF = {role: kind for kind, role in KINDS.items()}
#: What OPCP calls the algorithm of a key.
_TOLD_FOR = timedelta(days=7)
_ALGORITHMS = {"p256": "secp256r1", "p521": "secp521r1", "ed448": "ed448"}


@dataclass(frozen=True, slots=True)
class PooledRootView:
    """A trusted root as parties see it: ``id`` is its UUID, ``kind`` V2G, MO, OEM or PE, ``namespace`` of the first
    edition that it serves, ``algorithm`` as OPCP names it."""

    id: str
    kind: str
    certificate: CertificateView
    namespace: str
    algorithm: str
    entry: RootEntry


class RootDesk:
    """The root pool of one home, for whoever may ask."""

    def __init__(self, roots: RootPool, clock: Clock, publish: Publish) -> None:
        self._roots = roots
        self._clock = clock
        self._publish = publish

    def every(self, party: Party, kinds: tuple[str, ...] = ()) -> list[PooledRootView]:
        """The trusted roots of these kinds, of every kind when none is named."""
        party.require("mo", "oem", "cpo", "cps")
        return [found for entry in self._roots.list() if (found := _seen(entry)) and (not kinds or found.kind in kinds)]

    def one(self, party: Party, name: str) -> PooledRootView:
        """A trusted root by UUID or SHA-256 fingerprint; raises ``pool.unknown_root``."""
        party.require("mo", "oem", "cpo", "cps")
        return self._one(name)

    def save(self, party: Party, der: bytes, kind: str) -> PooledRootView:
        """Trust a root; the same again changes nothing. Raises what ``RootPool.add`` raises."""
        party.require("admin")
        added = self._roots.add(der, role=KINDS[kind], at=self._clock.now().replace(microsecond=0), caller=party.by)
        found = _seen(added.entry)
        if found is None:
            raise V2GPKIError("internal.bug", "a root that was just trusted is not")
        if added.changed:
            self._publish([self._told("root.cert.added", found)])
        return found

    def delete(self, party: Party, name: str) -> None:
        """Trust a root no more; its decision stays on record. Raises ``pool.unknown_root``."""
        party.require("admin")
        found = self._one(name)
        fingerprint = found.certificate.fingerprint.hex()
        self._roots.refuse(fingerprint, at=self._clock.now().replace(microsecond=0), caller=party.by)
        self._publish([self._told("root.cert.revoked", found)])

    def expired(self) -> list[Event]:
        """``root.cert.expired`` for each trusted root that ended within the last week; its id is the same each time."""
        now = self._clock.now()
        over = [
            found
            for entry in self._roots.list()
            if (found := _seen(entry)) and now - _TOLD_FOR <= found.certificate.not_after < now
        ]
        return [
            replace(self._told("root.cert.expired", root), id=expiry_id(root.certificate.fingerprint)) for root in over
        ]

    def _one(self, name: str) -> PooledRootView:
        for entry in self._roots.list():
            if names_root(name, entry.fingerprint) and (found := _seen(entry)):
                return found
        raise V2GPKIError(
            "pool.unknown_root",
            f"the pool has no root with the id {name[:80]!a}",
            hint="list the roots to see their ids",
            clause="OPCP root pool",
            facts={"root": name[:80]},
        )

    def _told(self, name: str, root: PooledRootView) -> Event:
        payload = {
            "rootCertificateId": root.id,
            "distinguishedName": name_text(root.certificate),
            "commonName": attribute(root.certificate, NameOID.COMMON_NAME),
            "rootType": root.kind,
            "rootSerialNumber": f"{root.certificate.serial:x}",
            "signatureAlgorithm": root.algorithm,
            "fingerprintSHA256": root.certificate.fingerprint.hex(),
        }
        return event(name, self._clock.now(), payload, root.namespace)


def algorithm_of(certificate: CertificateView) -> str:
    """What OPCP calls the algorithm of a certificate's key: secp256r1, secp521r1, ed448."""
    return _ALGORITHMS.get(suite_of_spki(certificate.spki).name, "")


def _seen(entry: RootEntry) -> PooledRootView | None:
    """The entry as parties see it, None when it is not trusted, or is of no use that they know."""
    kind = _KIND_OF.get(entry.role, "")
    if entry.decision != "trusted" or not kind:
        return None
    certificate = view(entry.der)
    namespace = ISO2 if "iso15118-2" in entry.editions else ISO20_OF_2022
    return PooledRootView(root_id(entry.fingerprint), kind, certificate, namespace, algorithm_of(certificate), entry)
