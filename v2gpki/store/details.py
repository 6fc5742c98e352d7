"""What the audit log says of each thing that the store keeps: action details as canonical JSON, and names.

Each text holds the digest of the whole record (``canonical``), so no field can change unseen.
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii as quoted

from v2gpki.store.canonical import authority_digest, certificate_digest, crl_digest, details_text
from v2gpki.store.records import AuthorityRecord, CertificateRecord, CrlRecord, IntentRecord


def issued_details(record: CertificateRecord, contract: str = "") -> str:
    """The details of ``certificate.issued``, with the id of the contract that it was issued for, if any; written out
    because it runs once per certificate (``details_text`` of the same mapping gives the same text, only slower)."""
    first = f'"contract":{quoted(contract)},' if contract else ""
    return (
        f'{{{first}"edition":{quoted(record.edition)},"fingerprint":"{record.fingerprint.hex()}",'
        f'"identifier":{quoted(record.identifier)},"record":"{certificate_digest(record).hex()}",'
        f'"role":{quoted(record.role)}}}'
    )


def revoked_details(certificate: CertificateRecord, reason: str) -> str:
    """The details of ``certificate.revoked``."""
    return details_text({"fingerprint": certificate.fingerprint.hex(), "reason": reason})


def created_details(authority: AuthorityRecord) -> str:
    """The details of ``authority.created``."""
    record = authority_digest(authority).hex()
    return details_text({"edition": authority.edition, "record": record, "role": authority.role})


def abandoned_details(intent: IntentRecord, reason: str) -> str:
    """The details of ``intent.abandoned``."""
    return details_text({"reason": reason, "reference": intent.reference, "tbs": intent.tbs_digest.hex()})


def published_details(crl: CrlRecord) -> str:
    """The details of ``crl.published``."""
    return details_text({"number": crl.number, "record": crl_digest(crl).hex()})


def put_details(value: str) -> str:
    """The details of ``setting.put``."""
    return details_text({"value": value})


def crl_target(crl: CrlRecord) -> str:
    """How the log names a CRL."""
    return f"{crl.issuer_id}#{crl.number}"
