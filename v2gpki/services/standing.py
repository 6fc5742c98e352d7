"""What this home knows about its own certificates: which are revoked, and which authorities are out of service.

An authority is in service when neither it nor anything above it in this home is revoked. The answers about authorities
are kept until one is created or changes its state; single certificates are looked up each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from v2gpki.certs.path import refusal
from v2gpki.certs.path_building import about
from v2gpki.certs.view import view
from v2gpki.clock import rfc3339
from v2gpki.errors import Finding
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord, CertificateRecord


class Standing:
    """The standing of certificates and authorities of one home. Safe from threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: tuple[int, dict[str, AuthorityRecord]] = (-1, {})

    def issued(self, certificate: bytes) -> CertificateRecord | None:
        """A certificate (DER) as this home issued it; None when it did not."""
        return self._store.certificate_by_fingerprint(hashlib.sha256(certificate).digest())

    def revoked(self, record: CertificateRecord) -> bool:
        """Whether a certificate, or an authority at or above its issuer, was revoked."""
        if record.state == "revoked":
            return True
        authorities = self._authorities()
        return any(
            authority.state == "revoked" and authority.der == record.der for authority in authorities.values()
        ) or not self.in_service(record.issuer_id)

    def in_service(self, authority_id: str) -> bool:
        """Whether neither this authority nor one above it is revoked; one that is not of this home is."""
        authorities = self._authorities()
        above = authority_id
        while (found := authorities.get(above)) is not None:
            if found.state == "revoked":
                return False
            if found.issuer_id in ("", found.id):
                return True
            above = found.issuer_id
        return True

    def require(self, chain: Sequence[bytes]) -> None:
        """Raise ``path.revoked``, with a finding for each, when this home revoked one of these certificates (DER), or
        an authority above it. What the home never issued is unknown here, which is no finding."""
        revoked = tuple(finding for certificate in chain for finding in self._findings(certificate))
        if revoked:
            raise refusal(revoked)

    def _findings(self, certificate: bytes) -> Iterator[Finding]:
        record = self.issued(certificate)
        if record is None or not self.revoked(record):
            return
        when = f" at {rfc3339(record.revoked_at)}" if record.revoked_at else ""
        what = f"was revoked{when} ({record.reason})" if record.state == "revoked" else "is below a revoked authority"
        seen = view(certificate)
        message = f"{seen.subject_text} {what}, says this home"
        yield about("path.revoked", message, seen, clause="RFC 5280 6.1.3 (a)(3)", source="store")

    def authority(self, authority_id: str) -> AuthorityRecord | None:
        """An authority of this home by ``slug@n``."""
        return self._authorities().get(authority_id)

    def _authorities(self) -> dict[str, AuthorityRecord]:
        revision = self._store.pools.trust_revision()
        if self._kept[0] != revision:
            self._kept = revision, {authority.id: authority for authority in self._store.authorities()}
        return self._kept[1]
