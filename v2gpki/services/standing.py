"""What this home knows about its own certificates: which are revoked, and which authorities are out of service.

An authority is in service when neither it nor anything above it in this home is revoked. The answers about authorities
are kept until one is created or changes its state; single certificates are looked up each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from v2gpki.certs.path import refusal
from v2gpki.certs.path_building import about
from v2gpki.certs.view import view
from v2gpki.clock import rfc3339
from v2gpki.errors import Finding
from v2gpki.services.remembered import Remembered
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord, CertificateRecord


class Moment:
    """What was known at one revision of the home's trust; cheap to ask as often as needed."""

    def __init__(self, authorities: Sequence[AuthorityRecord]) -> None:
        self._authorities = {authority.id: authority for authority in authorities}
        self._revoked = frozenset(authority.der for authority in authorities if authority.state == "revoked")
        self._out = frozenset(authority.id for authority in authorities if not self._stands(authority))
        self._standing = frozenset(authority.der for authority in authorities if authority.id not in self._out)

    def revoked(self, record: CertificateRecord) -> bool:
        """Whether a certificate, or an authority at or above its issuer, was revoked."""
        return record.state == "revoked" or record.issuer_id in self._out or record.der in self._revoked

    def stands(self, certificate: bytes) -> bool:
        """Whether this is the certificate (DER) of an authority of this home that is in service."""
        return certificate in self._standing

    def in_service(self, authority_id: str) -> bool:
        """Whether neither this authority nor one above it is revoked; one that is not of this home is."""
        return authority_id not in self._out

    def authority(self, authority_id: str) -> AuthorityRecord | None:
        """An authority of this home by ``slug@n``."""
        return self._authorities.get(authority_id)

    def _stands(self, authority: AuthorityRecord) -> bool:
        above: AuthorityRecord | None = authority
        while above is not None:
            if above.state == "revoked":
                return False
            above = self._authorities.get(above.issuer_id) if above.issuer_id != above.id else None
        return True


class Standing:
    """The standing of certificates and authorities of one home. Safe from threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._moments: Remembered[None, Moment] = Remembered(store)

    def issued(self, certificate: bytes) -> CertificateRecord | None:
        """A certificate (DER) as this home issued it; None when it did not."""
        return self._store.certificate_by_fingerprint(hashlib.sha256(certificate).digest())

    def now(self) -> Moment:
        """What is known now; read anew only after an authority was made or changed its state."""
        return self._moments.of(None, lambda: Moment(self._store.authorities()))

    def revoked(self, record: CertificateRecord) -> bool:
        """Whether a certificate, or an authority at or above its issuer, was revoked."""
        return record.state == "revoked" or self.now().revoked(record)

    def in_service(self, authority_id: str) -> bool:
        """Whether neither this authority nor one above it is revoked; one that is not of this home is."""
        return self.now().in_service(authority_id)

    def require(self, chain: Sequence[bytes]) -> bool:
        """Raise ``path.revoked``, with a finding for each, when this home revoked one of these certificates (DER), or
        an authority above it; returns whether it issued all of them. What it never issued is unknown here, which is
        no finding."""
        now = self.now()
        records = [self.issued(certificate) for certificate in chain if not now.stands(certificate)]
        revoked = tuple(_finding(record) for record in records if record is not None and now.revoked(record))
        if revoked:
            raise refusal(revoked)
        return None not in records

    def authority(self, authority_id: str) -> AuthorityRecord | None:
        """An authority of this home by ``slug@n``."""
        return self.now().authority(authority_id)


def _finding(record: CertificateRecord) -> Finding:
    when = f" at {rfc3339(record.revoked_at)}" if record.revoked_at else ""
    what = f"was revoked{when} ({record.reason})" if record.state == "revoked" else "is below a revoked authority"
    seen = view(record.der)
    message = f"{seen.subject_text} {what}, says this home"
    return about("path.revoked", message, seen, clause="RFC 5280 6.1.3 (a)(3)", source="store")
