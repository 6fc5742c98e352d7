"""Revoking certificates and publishing CRLs.

A revocation is a row of the store and of the audit log; it reaches others with the next CRL (and the
OCSP answers, which read the same rows). Serials of abandoned intents are listed as revoked too: if such
a certificate ever turned up, nobody should trust it. Sources: RFC 5280 5, reason codes 5.3.1.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from v2gpki.certs.crl import RevokedEntry, build_crl
from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.keys.signer import Signer
from v2gpki.services.compromise import compromise
from v2gpki.store.protocol import Store
from v2gpki.store.records import REASONS, AuthorityRecord, CertificateRecord, CrlRecord

#: So many processes may publish for one authority at once; each round lets at least one of them through.
_MOST_PUBLISHERS = 16


class Signers(Protocol):
    """Gives the signer of a kept key."""

    def signer(self, key_id: str) -> Signer:
        """The signer of one key."""
        ...


class Revocation:
    """Revokes and publishes; every change is sealed in the audit log by the caller's ``seal``."""

    def __init__(self, store: Store, signers: Signers, clock: Clock) -> None:
        self._store = store
        self._signers = signers
        self._clock = clock

    def revoke(self, issuer_id: str, serial: int, reason: str, *, caller: str) -> CertificateRecord:
        """Revoke one certificate now; a CA's certificate takes its authority out of service too.

        Raises ``revocation.unknown_reason``, ``store.unknown_certificate``, ``store.already_revoked``.
        Revoking again with the same reason changes nothing.
        """
        if reason not in REASONS:
            raise V2GPKIError(
                "revocation.unknown_reason",
                f"{reason!r} is no revocation reason",
                hint="use one of " + ", ".join(REASONS),
                clause="RFC 5280 5.3.1",
                facts={"reason": reason},
            )
        now = self._clock.now().replace(microsecond=0)
        return self._store.revoke(issuer_id, serial, now, reason, caller)

    def publish_crl(self, authority: AuthorityRecord, lifetime: timedelta, *, caller: str) -> CrlRecord:
        """Sign the CRL of one authority generation with the next CRLNumber and keep it.

        ``lifetime`` runs from now to nextUpdate. When somebody else publishes under that number meanwhile, it is
        signed again with the next. Raises ``issuing.issuer_expired`` when the authority's own certificate no
        longer holds, ``crl.issuer_compromised`` when it was revoked because others may have its key.
        """
        now = self._clock.now().replace(microsecond=0)
        if now > authority.not_after:
            raise V2GPKIError(
                "issuing.issuer_expired",
                f"{authority.id} expired on {authority.not_after:%Y-%m-%d} and signs no CRL",
                hint="name an authority that is valid now",
                clause="RFC 5280 5.1.2",
                facts={"issuer": authority.id},
            )
        known = compromise(self._store, authority)
        if known is not None:
            raise V2GPKIError(
                "crl.issuer_compromised",
                f"{authority.id} was revoked on {known.at:%Y-%m-%d} for {known.reason} and signs no CRL any more",
                hint=f"publish that of its issuer, which lists it: v2gpki crl issue {authority.issuer_id}",
                clause="RFC 5280 5.3.1",
                facts={"issuer": authority.id, "reason": known.reason},
            )
        for attempt in range(_MOST_PUBLISHERS):
            record = self._signed_crl(authority, now, lifetime)
            try:
                self._store.append_crl(record, caller)
            except V2GPKIError as refusal:
                if refusal.code != "store.conflict" or attempt == _MOST_PUBLISHERS - 1:
                    raise
            else:
                break
        return record

    def _signed_crl(self, authority: AuthorityRecord, now: datetime, lifetime: timedelta) -> CrlRecord:
        latest = self._store.latest_crl(authority.id)
        number = 1 if latest is None else latest.number + 1
        crl = build_crl(
            issuer=authority.der,
            signer=self._signers.signer(authority.key_id),
            number=number,
            this_update=now,
            next_update=now + lifetime,
            entries=(
                RevokedEntry(entry.serial, entry.revoked_at, entry.reason)
                for entry in self._store.revoked_serials(authority.id)
            ),
        )
        return CrlRecord(authority.id, number, now, now + lifetime, crl)
