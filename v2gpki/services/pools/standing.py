"""What the home itself knows about certificates of a chain: those that it issued and revoked since.

Evidence that is passed in (CRLs, OCSP answers) is judged by ``certs.path``; for what this home issued, its own
store knows more, and sooner. A certificate that the home never issued is unknown here, which is no finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from v2gpki.certs.path_building import about
from v2gpki.certs.view import view
from v2gpki.clock import rfc3339
from v2gpki.errors import Finding
from v2gpki.store.protocol import Store


def valid_certificates(store: Store, contract_id: str, at: datetime) -> tuple[tuple[str, int], ...]:
    """(issuer id, serial) of every certificate of a contract that is neither revoked nor over, oldest first."""
    valid = []
    for issuer_id, serial in store.pools.certificates_of(contract_id):
        record = store.certificate(issuer_id, serial)
        if record is not None and record.state == "valid" and record.not_after >= at:
            valid.append((issuer_id, serial))
    return tuple(valid)


def revoked_here(store: Store, certificates: Sequence[bytes]) -> tuple[Finding, ...]:
    """A ``path.revoked`` finding for each of these certificates (DER) that this home issued and revoked, the
    certificates of revoked authorities included."""
    out_of_service = {
        authority.der: authority.id for authority in store.authorities() if authority.state == "revoked"
    }
    findings: list[Finding] = []
    for der in certificates:
        seen = view(der)
        record = store.certificate_by_fingerprint(seen.fingerprint)
        if record is not None and record.state == "revoked":
            when = f" at {rfc3339(record.revoked_at)}" if record.revoked_at else ""
            message = f"{seen.subject_text} was revoked{when} ({record.reason}) by this home"
        elif der in out_of_service:
            message = f"{seen.subject_text} is the authority {out_of_service[der]} of this home, which was revoked"
        else:
            continue
        findings.append(about("path.revoked", message, seen, clause="RFC 5280 6.1.3 (a)(3)", source="store"))
    return tuple(findings)
