"""Handing a kept private key out: found by name, written to the audit log first, then decrypted.

Keys that a home keeps are those of its authorities, of held signers (OCSP, CPS) and of escrowed
certificates. The audit key is never handed out.
"""

from __future__ import annotations

from dataclasses import dataclass

from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import PrivateKey
from v2gpki.store.records import AuditEvent
from v2gpki.wiring.authority import CertificateAuthority
from v2gpki.wiring.sealing import seal


@dataclass(frozen=True, slots=True)
class ExportedKey:
    """A private key and the certificate that it belongs to: ``target`` is ``slug@n`` or ``issuer/serial``."""

    target: str
    subject: str
    der: bytes
    private_key: PrivateKey


def export_key(authority: CertificateAuthority, name: str) -> ExportedKey:
    """The private key of an authority or certificate by name, as ``authority`` and ``find_certificate`` take it.

    The log has the row ``key.exported`` before the key is returned. Raises ``key.not_kept``, ``home.locked``,
    and what looking the name up raises.
    """
    target, subject, der, key_id = _find(authority, name)
    if not key_id:
        raise V2GPKIError(
            "key.not_kept",
            f"this home does not keep the private key of {target} ({subject})",
            hint="keys of end-entity certificates are kept only with cert issue --escrow; issue a new one",
            facts={"target": target},
        )
    if authority.vault is None:
        raise V2GPKIError(
            "home.locked",
            f"the keys of {authority.home} are locked: this needs the passphrase",
            hint="set V2GPKI_PASSPHRASE or V2GPKI_PASSPHRASE_FILE, or give --passphrase-file",
            facts={"home": str(authority.home)},
        )
    private_key = authority.vault.private_key(key_id)
    event = AuditEvent("key.exported", authority.caller, target, {"key_id": key_id})
    authority.store.append_audit([event], authority.clock.now().replace(microsecond=0))
    seal(authority.store, authority.vault, authority.clock)
    return ExportedKey(target, subject, der, private_key)


def _find(authority: CertificateAuthority, name: str) -> tuple[str, str, bytes, str]:
    """(target, subject, certificate, key id); an authority's name comes first."""
    try:
        found = authority.authority(name)
    except V2GPKIError as problem:
        if problem.code != "store.unknown_authority":
            raise
    else:
        return found.id, found.subject, found.der, found.key_id
    record = authority.find_certificate(name)
    return f"{record.issuer_id}/{record.serial:x}", record.subject, record.der, record.key_id
