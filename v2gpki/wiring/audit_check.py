"""Verifying a home's audit log with the public half of its audit key, which stands in the store.

No passphrase is needed. Somebody who exchanges the key in the store and signs everything anew is found
only by an anchor, or by whoever remembers the key's fingerprint: both are part of the answer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import load_public_key
from v2gpki.store.anchor import AuditAnchor
from v2gpki.store.audit import AuditVerdict, verify
from v2gpki.store.protocol import Store
from v2gpki.wiring.sealing import AUDIT_KEY_SETTING


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """The verdict, and the SHA-256 (hex) of the SubjectPublicKeyInfo that the signatures were checked with."""

    verdict: AuditVerdict
    key_fingerprint: str


def check_audit(store: Store, anchor: AuditAnchor | None = None) -> AuditCheck:
    """Verify the whole log; what is found stands in the verdict. Raises ``audit.no_head`` for a home without
    an audit key and ``key.malformed`` for one whose key is damaged."""
    text = store.setting(AUDIT_KEY_SETTING)
    if text is None:
        raise V2GPKIError(
            "audit.no_head",
            "this home has no audit key yet, so nothing of its log is signed",
            hint="v2gpki init-root or v2gpki init makes one",
        )
    try:
        spki = bytes.fromhex(text)
    except ValueError:
        raise V2GPKIError(
            "key.malformed",
            "the public audit key in the store is no hexadecimal text",
            hint="the store was changed by somebody; compare it with a backup",
        ) from None
    key = load_public_key(spki)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise V2GPKIError(
            "key.unsupported",
            f"the public audit key in the store is of type {type(key).__name__}, not P-256",
            hint="the store was changed by somebody; compare it with a backup",
        )

    def verifier(signature: bytes, message: bytes) -> None:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))

    return AuditCheck(verify(store, verifier=verifier, anchor=anchor), hashlib.sha256(spki).hexdigest())
