"""What the responder knows by heart: the issuers, by the hashes in CertIDs, and what each of them revoked.

Read from the store once, then kept current from the audit log: every revocation, abandoned intent and change of an
authority is a row there, written in the same transaction, so that reading the new rows misses nothing and costs what
has changed. Abandoned serials count as revoked: if such a certificate turned up, nobody should trust it. So does
every serial of an issuer whose key was compromised, also one that was never issued here: a thief chooses his own.
Sources: RFC 6960 2.7, 4.1.1; RFC 5280 5.3.1.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from v2gpki.certs.ocsp import IssuerName
from v2gpki.certs.view import view
from v2gpki.profile.load import Catalogue
from v2gpki.profile.model import AnswerRule
from v2gpki.services.compromise import compromise
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuditRow, AuthorityRecord

_REVOKED, _ABANDONED = "certificate.revoked", "intent.abandoned"
_AUTHORITIES = ("authority.created", "authority.retired", "authority.revoked", "authority.activated")
#: So many serials of an issuer are remembered as issued; then the store is asked again.
_MOST_ISSUED = 200_000


class Revoked(NamedTuple):
    """When and why a serial was revoked."""

    at: datetime
    reason: str


class Issuer:
    """One authority generation that the responder answers for."""

    def __init__(self, record: AuthorityRecord, rule: AnswerRule) -> None:
        self.record = record
        self.rule = rule
        self.name = IssuerName(record.subject_der, view(record.der).spki)
        self.revoked: dict[int, Revoked] = {}
        #: Since when and why nothing that it ever signed is good.
        self.compromised: Revoked | None = None
        self._issued: set[int] = set()

    def fact(self, serial: int) -> Revoked | None:
        """When and why a certificate was revoked, by itself or with its issuer, whichever was first."""
        own, common = self.revoked.get(serial), self.compromised
        return own if common is None or (own is not None and own.at <= common.at) else common

    def issued(self, serial: int, store: Store) -> bool:
        """Whether it ever issued this serial; a certificate never leaves the store, so the answer yes is kept."""
        if serial in self._issued:
            return True
        if serial <= 0 or store.certificate(self.record.id, serial) is None:
            return False
        if len(self._issued) >= _MOST_ISSUED:
            self._issued.clear()
        self._issued.add(serial)
        return True


class Changes(NamedTuple):
    """What is new: (issuer id, serial) of certificates revoked, whether authorities changed, and which issuers were
    compromised."""

    revoked: list[tuple[str, int]]
    authorities: bool
    compromised: list[Issuer]


NOTHING = Changes([], False, [])


class IssuerIndex:
    """The issuers of a home, current up to the last ``refresh``."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue
        self._revision = -1
        self._sequence = 0
        #: By both hashes of a CertID in one run: their length tells the algorithm.
        self.by_hashes: dict[bytes, Issuer] = {}
        self.by_id: dict[str, Issuer] = {}

    def refresh(self) -> Changes:
        """Take over what any process changed since the last call; a few microseconds when nothing did."""
        revision = self._store.revision()
        if revision == self._revision:
            return NOTHING
        first = self._revision < 0
        # In this order a write that happens meanwhile leads to another revision, and is found next time.
        with self._store.snapshot():
            tip = self._store.audit_tip()[0]
            if first:
                self._load()
                changes = NOTHING
            else:
                actions = (_REVOKED, _ABANDONED, *_AUTHORITIES)
                changes = self._take_over(list(self._store.audit_rows(after=self._sequence, actions=actions)))
        self._revision, self._sequence = revision, tip
        return changes

    def _load(self) -> list[Issuer]:
        """Read the authorities whose keys are in this home, with what they revoked; those newly compromised."""
        compromised = []
        for record in self._store.authorities():
            issuer = self.by_id.get(record.id)
            if issuer is None and not record.key_id:
                continue
            known = compromise(self._store, record)
            if issuer is None:
                issuer = Issuer(record, self._catalogue.edition(record.edition).ocsp_answers)
                for entry in self._store.revoked_serials(record.id):
                    issuer.revoked[entry.serial] = Revoked(entry.revoked_at, entry.reason)
                self._place(issuer)
            issuer.record = record
            if known is not None and issuer.compromised is None:
                issuer.compromised = Revoked(*known)
                compromised.append(issuer)
        return compromised

    def _place(self, issuer: Issuer) -> None:
        self.by_id[issuer.record.id] = issuer
        for key in issuer.name.keys.values():
            self.by_hashes[key] = issuer

    def _take_over(self, rows: list[AuditRow]) -> Changes:
        revoked = []
        authorities = any(row.action in _AUTHORITIES for row in rows)
        compromised = self._load() if authorities else []
        for row in rows:
            if row.action in _AUTHORITIES:
                continue
            issuer_id, _, text = row.target.rpartition("/")
            issuer, serial = self.by_id.get(issuer_id), int(text, 16)
            if issuer is None:
                continue
            if row.action == _ABANDONED:
                issuer.revoked[serial] = Revoked(row.at, "unspecified")
            else:
                record = self._store.certificate(issuer_id, serial)
                if record is not None and record.revoked_at is not None:
                    issuer.revoked[serial] = Revoked(record.revoked_at, record.reason)
            revoked.append((issuer_id, serial))
        return Changes(revoked, authorities, compromised)
