"""One certificate for people: what it is, whether it holds, and for whom its owner's identifier is shown.

A certificate whose profile takes an EMAID, a PCID or an EVCCID belongs to a person. Its identifier, subject, fields
and octets are withheld from everybody but who names exactly that identifier; role, issuer, validity and revocation are
shown, as OCSP tells them to anybody. A profile that is not at hand counts as a person's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import KINDS, parse
from v2gpki.identifiers.emaid import check_digit
from v2gpki.profile.load import Catalogue
from v2gpki.render.certificate import certificate_fields
from v2gpki.render.tree import standing
from v2gpki.services.browsing.hierarchy import Nodes
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord, CertificateRecord

#: Kinds of identifiers that lead to a person.
PERSONAL = frozenset({"emaid", "pcid", "evccid"})
#: No identifier is longer.
_LONGEST = 128
#: A hierarchy is never so deep.
_DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for, with every writing of the same identifier: capitals, separators, check digit."""

    text: str
    writings: frozenset[str]

    @classmethod
    def of(cls, text: str) -> Asked:
        """Read a text; one that is no identifier stands for itself."""
        text = text.strip()
        return cls(text, frozenset(_writings(text)) if 0 < len(text) <= _LONGEST else frozenset())

    def names(self, record: CertificateRecord) -> bool:
        """Whether it is the identifier of this certificate."""
        return bool(record.identifier) and record.identifier in self.writings


def personal(catalogue: Catalogue, record: CertificateRecord) -> bool:
    """Whether a certificate belongs to a person."""
    try:
        kinds = catalogue.profile(record.edition, record.role, record.suite).identifier.kinds
    except V2GPKIError:
        return True
    return not PERSONAL.isdisjoint(kinds)


class CertificateSights:
    """Values of certificates: ``v2gpki/cert/1`` as the command line has it, without the caller, and more."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue
        self._nodes = Nodes(catalogue)

    def value(self, record: CertificateRecord, now: datetime, asked: Asked) -> dict[str, object]:
        """One certificate as lists show it.

        ``standing`` is as in a tree; ``withheld`` says that id and subject are left out; ``authority`` is the
        generation whose certificate it is, "" for an end entity; ``broken_by`` the nearest authority above it that
        does not hold, with its standing, or None.
        """
        node = self._nodes.leaf(record)
        word = standing(node, now)
        withheld = self.withholds(record, asked)
        value: dict[str, object] = {
            "schema": "v2gpki/cert/1",
            "serial": f"{record.serial:x}",
            "role": record.role,
            "title": node.title,
            "branch": node.branch,
            "edition": record.edition,
            "suite": record.suite,
            "id": "" if withheld else record.identifier,
            "subject": "" if withheld else record.subject,
            "personal": personal(self._catalogue, record),
            "withheld": withheld,
            "issuer": record.issuer_id,
            "fingerprint": record.fingerprint.hex(),
            "not_before": rfc3339(record.not_before),
            "not_after": rfc3339(record.not_after),
            "size": len(record.der),
            "state": "valid" if word == "expiring" else word,
            "standing": word,
            "issued_at": rfc3339(record.issued_at),
            "authority": self._authority_of(record),
            "broken_by": self.broken_by(record.issuer_id, now),
        }
        if record.revoked_at is not None:
            value |= {"revoked_at": rfc3339(record.revoked_at), "reason": record.reason}
        return value

    def detail(self, record: CertificateRecord, now: datetime, asked: Asked) -> dict[str, object]:
        """The same with the certificate's fields, unless they are withheld."""
        value = self.value(record, now, asked)
        return {**value, "fields": [] if value["withheld"] else fields(record.der)}

    def withholds(self, record: CertificateRecord, asked: Asked) -> bool:
        """Whether what leads to a person is left out."""
        return personal(self._catalogue, record) and not asked.names(record)

    def broken_by(self, issuer_id: str, now: datetime) -> dict[str, object] | None:
        """The nearest authority from ``issuer_id`` upward that is revoked or not within its validity."""
        for authority in self._upward(issuer_id):
            word = standing(self._nodes.authority(authority), now)
            if word in ("revoked", "expired", "not_yet_valid"):
                return {"id": authority.id, "standing": word, **self.revocation(authority)}
        return None

    def revocation(self, authority: AuthorityRecord) -> dict[str, object]:
        """When and why the certificate of an authority was revoked; empty when it was not."""
        record = self._store.certificate(authority.issuer_id, authority.serial)
        if record is None or record.revoked_at is None:
            return {}
        return {"revoked_at": rfc3339(record.revoked_at), "reason": record.reason}

    def _upward(self, issuer_id: str) -> Iterator[AuthorityRecord]:
        for _ in range(_DEEPEST):
            authority = self._store.authority(issuer_id) if issuer_id else None
            if authority is None:
                return
            yield authority
            if authority.issuer_id == authority.id:
                return
            issuer_id = authority.issuer_id

    def _authority_of(self, record: CertificateRecord) -> str:
        found = self._store.authorities(edition=record.edition, role=record.role, suite=record.suite)
        same = (record.issuer_id, record.serial)
        return next((one.id for one in found if (one.issuer_id, one.serial) == same), "")


def fields(der: bytes) -> list[dict[str, object]]:
    """Every field of a certificate as label and text; one line that says so when it cannot be read."""
    try:
        return [
            {"label": field.label, "text": field.text, "critical": field.critical} for field in certificate_fields(der)
        ]
    except V2GPKIError as problem:
        return [{"label": "unreadable", "text": problem.message, "critical": False}]


def _writings(text: str) -> Iterator[str]:
    yield text
    for kind in KINDS:
        try:
            read = parse(kind, text)
        except V2GPKIError:
            continue
        yield read.normal
        if kind == "emaid":
            key = read.parts["key"]
            yield key
            yield key + check_digit(key)
