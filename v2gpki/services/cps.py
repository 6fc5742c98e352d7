"""The certificate provisioning service's part: it signs contract data, under a V2G root that the vehicle knows.

A vehicle names the V2G roots that it holds; the CPS leaf that signs must end at one of them. Leafs are those whose keys
this home keeps and that are neither revoked nor out of their validity, nor below an authority that is revoked.
Clauses: ISO 15118-2 table F.3, 8.4.3.10; [V2G2-925] (DC=CPS).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from v2gpki.certs.view import view
from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.keys.signer import Signer
from v2gpki.pnc.installation import ContractData, SignedContract, root_matches, sign_contract
from v2gpki.profile.load import Catalogue
from v2gpki.services.pools import RootPool
from v2gpki.services.standing import Moment, Standing
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord, CertificateRecord

ROLE = "cps"


@dataclass(frozen=True, slots=True)
class CpsSigner:
    """A CPS leaf that may sign: its chain (leaf, Sub-CA 2, Sub-CA 1), the root above, when the first of them ends."""

    edition: str
    suite: str
    chain: tuple[bytes, ...]
    root: bytes
    root_fingerprint: bytes
    not_after: datetime
    issuer_id: str
    serial: int
    key_id: str


class CertificateProvisioningService:
    """Signs contract data with the CPS keys of one home."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        roots: RootPool,
        standing: Standing,
        signer: Callable[[str], Signer],
        *,
        elsewhere: Callable[[ContractData, CpsSigner], SignedContract] | None = None,
    ) -> None:
        """``signer`` gives the signer of a key id; it is asked for when something is signed, and needs the home
        unlocked. ``elsewhere`` has contract data signed by the process that has the keys instead."""
        self._store = store
        self._catalogue = catalogue
        self._roots = roots
        self._standing = standing
        self._signer = signer
        self._elsewhere = elsewhere
        self._known: dict[tuple[str, int], CpsSigner] = {}

    def signers(self, edition: str, suite: str, now: datetime) -> list[CpsSigner]:
        """Everybody who may sign now, the newest leaf first."""
        trusted, standing = self.trusted_roots(edition), self._standing.now()
        able = [
            self._signer_of(record, issuer)
            for record in self._store.held_certificates(role=ROLE)
            if record.edition == edition and record.suite == suite and record.not_before <= now < record.not_after
            for issuer in [standing.authority(record.issuer_id)]
            if issuer is not None and _may_sign(issuer, standing, now)
        ]
        return [signer for signer in able if signer.root_fingerprint in trusted]

    def trusted_roots(self, edition: str) -> frozenset[bytes]:
        """SHA-256 of the roots that a CPS chain may end at: own ones and others, as the root pool has it."""
        anchors = self._roots.trusted(self._catalogue.profile(edition, ROLE, None).anchors, edition)
        return frozenset(view(anchor.der).fingerprint for anchor in anchors)

    def choose(
        self,
        edition: str,
        suite: str,
        roots: Sequence[tuple[str, int]],
        now: datetime,
        *,
        unknown_roots: Literal["refuse", "answer"] = "refuse",
    ) -> CpsSigner:
        """Who signs for a vehicle that holds these V2G roots (issuer name and serial).

        ``unknown_roots`` "answer" takes the newest signer when the vehicle named no root of ours. Raises ``cps.none``
        when nobody may sign, ``cps.no_common_root`` when none of the roots fits.
        """
        able = self.signers(edition, suite, now)
        if not able:
            raise _none(edition, suite, now)
        for signer in able:
            if any(root_matches(issuer, serial, signer.root) for issuer, serial in roots):
                return signer
        if unknown_roots == "answer":
            return able[0]
        raise no_common_root(roots)

    def named(self, edition: str, suite: str, now: datetime, wanted: Callable[[bytes], bool]) -> CpsSigner:
        """The newest signer under a V2G root (SHA-256) that is wanted. Raises ``cps.none``, ``cps.unknown_root``."""
        able = self.signers(edition, suite, now)
        if not able:
            raise _none(edition, suite, now)
        for signer in able:
            if wanted(signer.root_fingerprint):
                return signer
        raise V2GPKIError(
            "cps.unknown_root",
            f"no CPS of this home signs under the V2G root that is named, in {edition}",
            hint="leave the root out, or ask for the CPS certificates to see under which roots they are",
            clause="OPCP 1.0, cpsV2GRootCertificateFingerprint",
            facts={"edition": edition, "suite": suite},
        )

    def sign(self, data: ContractData, signer: CpsSigner) -> SignedContract:
        """Contract data under this CPS's signature."""
        if self._elsewhere is not None:
            return self._elsewhere(data, signer)
        return sign_contract(data, cps_chain=signer.chain, signer=self._signer(signer.key_id))

    def _signer_of(self, record: CertificateRecord, issuer: AuthorityRecord) -> CpsSigner:
        key = (record.issuer_id, record.serial)
        known = self._known.get(key)
        if known is None:
            above = (issuer.der, *issuer.chain)
            known = self._known[key] = CpsSigner(
                record.edition,
                record.suite,
                (record.der, *above[:-1]),
                above[-1],
                view(above[-1]).fingerprint,
                min(record.not_after, issuer.not_after),
                record.issuer_id,
                record.serial,
                record.key_id,
            )
        return known


def _may_sign(issuer: AuthorityRecord, standing: Moment, now: datetime) -> bool:
    """Whether the issuer and everything above it is in service and within its validity."""
    above: AuthorityRecord | None = issuer
    while above is not None:
        if not above.not_before <= now < above.not_after:
            return False
        above = standing.authority(above.issuer_id) if above.issuer_id != above.id else None
    return standing.in_service(issuer.id)


def _none(edition: str, suite: str, now: datetime) -> V2GPKIError:
    return V2GPKIError(
        "cps.none",
        f"no CPS certificate of {edition} ({suite}) is valid at {rfc3339(now)} with its key in this home",
        hint=f"v2gpki cert issue cps --edition {edition} --suite {suite} --escrow --plain-key --out DIR",
        clause="ISO 15118-2 table F.3",
        facts={"edition": edition, "suite": suite},
    )


def no_common_root(roots: Sequence[tuple[str, int]]) -> V2GPKIError:
    """The refusal of a vehicle that holds no V2G root under which anything is signed for it."""
    named = ", ".join(f"{issuer} ({serial})" for issuer, serial in roots[:3]) or "none"
    return V2GPKIError(
        "cps.no_common_root",
        f"the vehicle holds {len(roots)} V2G roots, and no CPS of this home is under one of them: {named}",
        hint="the vehicle could not verify the answer; sign under a root that it holds",
        clause="ISO 15118-2 8.4.3.10",
        facts={"roots": [f"{issuer} ({serial})" for issuer, serial in roots]},
    )
