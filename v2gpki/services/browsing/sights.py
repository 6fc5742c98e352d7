"""What there is to see of a home, view by view, as values.

A value that has a schema is JSON as it stands. Unknown names raise ``store.unknown_authority`` and
``store.unknown_certificate``; octets of a person's certificate ``serving.identifier_needed`` unless its identifier is
given. Nothing here writes, signs or needs a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.profile.load import Catalogue
from v2gpki.render.tree import TreeNode, standing, walk
from v2gpki.services.browsing.certificates import Asked, CertificateSights, fields
from v2gpki.services.browsing.hierarchy import Nodes, common_name, forest, node_value
from v2gpki.services.crl_names import name_of
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord, CertificateRecord, CertificateState, CrlRecord

#: Certificates on one page of a list.
PAGE = 50
#: So many ends of validity are shown beside the hierarchy.
_NEXT = 6
#: The shortest start of a serial or fingerprint that is searched.
SHORTEST_PREFIX = 4
_SEPARATORS = re.compile(r"[\s:]")
_HEX = re.compile(r"[0-9a-f]{4,64}")
_SERIAL = re.compile(r"[0-9a-f]{1,40}")


class Sights:
    """The views of one home."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue
        self._certificates = CertificateSights(store, catalogue)
        self._nodes = Nodes(catalogue)

    def forest(self, *, edition: str = "") -> tuple[TreeNode, ...]:
        """The authorities, without what they issued."""
        return forest(self._store, self._catalogue, edition=edition)

    def overview(self, now: datetime) -> dict[str, object]:
        """The whole home on one page: ``v2gpki/overview/1`` with the tree and what ends next."""
        roots = self.forest()
        authorities = list(walk(roots))
        revoked = self._store.revoked_tally()
        ends = self._ends(authorities, now)
        editions = dict.fromkeys(node.edition for node in roots)
        return {
            "schema": "v2gpki/overview/1",
            "at": rfc3339(now),
            "org": self.org(),
            "counts": {
                "authorities": len(authorities),
                "certificates": sum(node.issued for node in authorities),
                "revoked": sum(revoked.values()),
                "renew": sum(one["standing"] in ("expiring", "expired") for one in ends),
            },
            "next": ends[:_NEXT],
            "editions": [
                {
                    "edition": edition,
                    "title": self._title(edition),
                    "roots": [node_value(node, now) for node in roots if node.edition == edition],
                }
                for edition in editions
            ],
        }

    def org(self) -> str:
        """Whose PKI it is, "" when nobody said."""
        return self._store.setting("org") or ""

    def authority(
        self, name: str, now: datetime, *, state: CertificateState | None = None, before: int = 0, size: int = PAGE
    ) -> dict[str, object]:
        """One generation, its way up, its CRL, and a page of what it issued (``certificates``, newest first;
        ``next`` is the mark of the following page, 0 for none)."""
        record = self.generation(name)
        node = self._nodes.authority(record)
        mark, found = self._store.newest_certificates(record.id, state=state, before=before, limit=size)
        nobody = Asked.of("")
        crl = self._store.latest_crl(record.id)
        return {
            "schema": "v2gpki/authority/1",
            "id": record.id,
            "title": node.title,
            "name": node.name,
            "branch": node.branch,
            "edition": record.edition,
            "suite": record.suite,
            "role": record.role,
            "subject": record.subject,
            "issuer": record.issuer_id,
            "serial": f"{record.serial:x}",
            "fingerprint": node.fingerprint,
            "not_before": rfc3339(record.not_before),
            "not_after": rfc3339(record.not_after),
            "size": len(record.der),
            "state": record.state,
            "standing": standing(node, now),
            **self._certificates.revocation(record),
            "broken_by": None if self._is_root(record) else self._certificates.broken_by(record.issuer_id, now),
            "above": [self._brief(one, now) for one in self._above(record)],
            "below": [self._brief(one, now) for one in self._below(record)],
            "crl": None if crl is None else _crl_value(crl),
            "fields": fields(record.der),
            "certificates": [self._certificates.value(one, now, nobody) for one in found],
            "next": mark,
        }

    def issued(self, name: str, *, state: CertificateState | None = None) -> int:
        """How many certificates an authority has issued; counting a million takes a tenth of a second."""
        return self._store.count_certificates(issuer_id=self.generation(name).id, state=state)

    def certificate(self, issuer_id: str, serial: str, now: datetime, asked: Asked) -> dict[str, object]:
        """One certificate with its fields, if ``asked`` may see them."""
        return self._certificates.detail(self._record(issuer_id, serial), now, asked)

    def search(self, text: str, now: datetime) -> dict[str, object]:
        """What a text finds: ``v2gpki/search/1``.

        The start of a serial or fingerprint (hex, from 4 digits, in capitals, with colons or spaces too), a whole
        identifier in any writing, or a part of an authority's name. ``more`` says that the list was cut.
        """
        asked = Asked.of(text)
        found = {(one.issuer_id, one.serial): one for one in self._by_identifier(asked)}
        for one in self._by_prefix(asked.text):
            found.setdefault((one.issuer_id, one.serial), one)
        shown = list(found.values())[:PAGE]
        return {
            "schema": "v2gpki/search/1",
            "query": asked.text,
            "certificates": [self._certificates.value(one, now, asked) for one in shown],
            "authorities": [self._brief(one, now) for one in self._by_name(asked.text)],
            "more": len(found) > PAGE,
        }

    # -- octets --------------------------------------------------------------------------------

    def chain(self, issuer_id: str, serial: str, asked: Asked) -> tuple[bytes, ...]:
        """A certificate and the Sub-CAs above it, leaf first, without the root."""
        record = self._record(issuer_id, serial)
        if self._certificates.withholds(record, asked):
            raise V2GPKIError(
                "serving.identifier_needed",
                "this certificate belongs to a person: it is only handed out to who names the identifier in it",
                hint="search for the whole EMAID, PCID or EVCCID and download it from there",
                facts={"issuer": issuer_id, "serial": serial},
            )
        issuer = self._store.authority(issuer_id)
        if issuer is None or issuer.der == record.der:
            return (record.der,)
        return (record.der, *(issuer.der, *issuer.chain)[:-1])

    def authority_chain(self, name: str) -> tuple[bytes, ...]:
        """The certificate of an authority and the Sub-CAs above it, without the root; a root is itself."""
        record = self.generation(name)
        return (record.der, *record.chain[:-1])

    def crl(self, name: str) -> tuple[CrlRecord, str]:
        """The newest CRL of an authority, and its name at the distribution point (without ``.crl``); none yet raises
        ``store.unknown_authority``."""
        record = self.generation(name)
        crl = self._store.latest_crl(record.id)
        if crl is None:
            raise V2GPKIError(
                "store.unknown_authority",
                f"{record.id} has not published a CRL yet",
                hint=f"v2gpki crl issue {record.id} publishes one",
                facts={"authority": record.id},
            )
        return crl, name_of(record)

    def generation(self, name: str) -> AuthorityRecord:
        """One authority by ``slug@n``, or the newest active one of a slug."""
        record = self._store.authority(name)
        if record is None:
            raise V2GPKIError(
                "store.unknown_authority",
                f"there is no authority {name[:80]!r} here",
                hint="the hierarchy shows them all",
                facts={"authority": name},
            )
        return record

    # -- finding -------------------------------------------------------------------------------

    def _record(self, issuer_id: str, serial: str) -> CertificateRecord:
        found = None
        if _SERIAL.fullmatch(serial):
            found = self._store.certificate(issuer_id, int(serial, 16))
        if found is None:
            raise V2GPKIError(
                "store.unknown_certificate",
                f"{issuer_id[:80]!r} has issued no certificate with the serial {serial[:80]!r}",
                hint="search for the start of the serial",
                facts={"issuer": issuer_id, "serial": serial},
            )
        return found

    def _by_identifier(self, asked: Asked) -> Iterable[CertificateRecord]:
        for writing in sorted(asked.writings):
            yield from self._store.find_certificates(identifier=writing, limit=PAGE + 1)

    def _by_prefix(self, text: str) -> Iterable[CertificateRecord]:
        prefix = _SEPARATORS.sub("", text).lower().removeprefix("0x")
        if not _HEX.fullmatch(prefix):
            return ()
        return self._store.find_certificates(prefix=prefix, limit=PAGE + 1)

    def _by_name(self, text: str) -> list[AuthorityRecord]:
        wanted = text.casefold()
        if len(wanted) < 2:
            return []
        named = (
            one
            for one in self._store.authorities()
            if wanted in one.id.casefold() or wanted in common_name(one.subject).casefold()
        )
        return list(islice(named, PAGE))

    # -- authorities ---------------------------------------------------------------------------

    @staticmethod
    def _is_root(record: AuthorityRecord) -> bool:
        return record.issuer_id == record.id

    def _above(self, record: AuthorityRecord) -> list[AuthorityRecord]:
        above: list[AuthorityRecord] = []
        while not self._is_root(record) and len(above) < len(record.chain) + 1:
            higher = self._store.authority(record.issuer_id) if record.issuer_id else None
            if higher is None:
                break
            above.append(higher)
            record = higher
        return above

    def _below(self, record: AuthorityRecord) -> list[AuthorityRecord]:
        everything = self._store.authorities(edition=record.edition)
        return [one for one in everything if one.issuer_id == record.id != one.id]

    def _brief(self, record: AuthorityRecord, now: datetime) -> dict[str, object]:
        """An authority in a list."""
        node = self._nodes.authority(record)
        return {
            "id": record.id,
            "title": node.title,
            "name": node.name,
            "branch": node.branch,
            "edition": record.edition,
            "suite": record.suite,
            "not_before": rfc3339(record.not_before),
            "not_after": rfc3339(record.not_after),
            "standing": standing(node, now),
        }

    def _title(self, edition: str) -> str:
        try:
            return self._catalogue.edition(edition).title
        except V2GPKIError:
            return edition

    def _ends(self, authorities: Sequence[TreeNode], now: datetime) -> list[dict[str, object]]:
        """What this home itself uses, by its end: active authorities and the newest of each held certificate."""
        # Of the generations of an authority the newest counts: those before it end by themselves.
        newest = {node.label.rpartition("@")[0]: node for node in authorities if node.state == "active"}
        ends = [
            (node.not_after, {"authority": node.label, "issuer": "", "serial": ""}, node) for node in newest.values()
        ]
        active = {node.label for node in authorities if node.state == "active"}
        for record in self._held({node.edition for node in authorities}):
            if record.issuer_id not in active:  # nothing renews what a revoked or retired authority signed
                continue
            place = {"authority": "", "issuer": record.issuer_id, "serial": f"{record.serial:x}"}
            ends.append((record.not_after, place, self._nodes.leaf(record)))
        ends.sort(key=lambda entry: entry[0])
        return [
            {
                **place,
                "title": node.title,
                "name": node.name,
                "not_after": rfc3339(end),
                "standing": standing(node, now),
            }
            for end, place, node in ends
        ]

    def _held(self, editions: Iterable[str]) -> Iterable[CertificateRecord]:
        newest: dict[tuple[str, str, str], CertificateRecord] = {}
        for edition in editions:
            for role in self._held_roles(edition):
                for record in self._store.held_certificates(role=role):
                    newest.setdefault((record.issuer_id, record.role, record.identifier), record)
        return newest.values()

    def _held_roles(self, edition: str) -> list[str]:
        try:
            catalogue = self._catalogue
            profiles = [
                catalogue.profile(edition, role, catalogue.suites(edition, role)[0])
                for role in catalogue.roles(edition)
            ]
        except V2GPKIError:
            return []
        return [profile.role for profile in profiles if profile.held and profile.kind == "leaf"]


def _crl_value(crl: CrlRecord) -> dict[str, object]:
    return {
        "number": crl.number,
        "this_update": rfc3339(crl.this_update),
        "next_update": rfc3339(crl.next_update),
        "size": len(crl.der),
    }
