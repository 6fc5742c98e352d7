"""The certificates of a contract that are still good: what ending or purging it leaves to be revoked."""

from __future__ import annotations

from datetime import datetime

from v2gpki.store.protocol import Store


def valid_certificates(store: Store, contract_id: str, at: datetime) -> tuple[tuple[str, int], ...]:
    """(issuer id, serial) of every certificate of a contract that is neither revoked nor over, oldest first."""
    valid = []
    for issuer_id, serial in store.pools.certificates_of(contract_id):
        record = store.certificate(issuer_id, serial)
        if record is not None and record.state == "valid" and record.not_after >= at:
            valid.append((issuer_id, serial))
    return tuple(valid)
