"""Answers signed before they are asked for.

A group holds the ``good`` answers of one issuer and hash algorithm that were signed in one run: of each only the
signature, since everything else is the same or the serial (a million answers: some 250 MB instead of 1 GB). Other
answers (revoked, asked for in another form) are kept whole once signed. What is revoked is taken out at once; it is
for the caller to sign what takes its place. Source: RFC 5019 2.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from v2gpki.certs.ocsp_answer import Batch
from v2gpki.certs.ocsp_request import write_request
from v2gpki.services.ocsp.index import Issuer

#: Of every issuer so many answers are kept whole.
_MOST_SINGLES = 100_000
#: A serial number as every profile makes it: 20 octets.
_SERIAL_OCTETS = 20


class OcspAnswer(NamedTuple):
    """One answer: the OCSPResponse (DER) and what a server needs to know about it.

    ``status`` is good, revoked or unknown, or the name of an OCSPResponseStatus. The times are None in an
    unsuccessful answer. ``cacheable`` says whether others may keep it until ``next_update``. ``issuer_id`` is "" when
    the issuer is none of ours.
    """

    der: bytes
    status: str
    this_update: datetime | None = None
    next_update: datetime | None = None
    cacheable: bool = False
    issuer_id: str = ""


class _Group:
    """The good answers of one run for one issuer and hash algorithm."""

    __slots__ = ("about", "batch", "serve_until", "signatures")

    def __init__(self, issuer_id: str, batch: Batch, serve_until: datetime) -> None:
        self.batch = batch
        self.serve_until = serve_until
        self.signatures: dict[bytes, bytes] = {}
        #: What all answers say beside their octets.
        self.about = ("good", batch.window.this_update, batch.window.next_update, True, issuer_id)


class Presigned:
    """What was signed before. Reading and taking out may happen at once in several threads."""

    def __init__(self) -> None:
        self._groups: dict[bytes, _Group] = {}
        self._filling: dict[bytes, _Group] = {}
        self._singles: dict[str, dict[int, dict[bytes, tuple[OcspAnswer, datetime]]]] = {}
        self._count: dict[str, int] = {}

    def __len__(self) -> int:
        return sum(len(group.signatures) for group in self._groups.values()) + sum(self._count.values())

    def ready(self, request: bytes, now: datetime) -> OcspAnswer | None:
        """The answer to a request in its usual form, straight from its octets; None when it needs a closer look."""
        group = self._groups.get(request[:-_SERIAL_OCTETS])
        if group is None or now >= group.serve_until:
            return None
        serial = request[-_SERIAL_OCTETS:]
        signature = group.signatures.get(serial)
        if signature is None:
            return None
        return OcspAnswer(group.batch.answer(serial, signature), *group.about)

    def single(self, issuer_id: str, serial: int, cert_id: bytes, now: datetime) -> OcspAnswer | None:
        """A whole answer that was kept."""
        found = self._singles.get(issuer_id, {}).get(serial, {}).get(cert_id)
        return None if found is None or now >= found[1] else found[0]

    def keep(self, serial: int, cert_id: bytes, answer: OcspAnswer, serve_until: datetime) -> None:
        """Keep a whole answer."""
        issuer_id = answer.issuer_id
        if self._count.get(issuer_id, 0) >= _MOST_SINGLES:
            self._singles.pop(issuer_id, None)
            self._count[issuer_id] = 0
        kept = self._singles.setdefault(issuer_id, {}).setdefault(serial, {})
        self._count[issuer_id] = self._count.get(issuer_id, 0) + (cert_id not in kept)
        kept[cert_id] = answer, serve_until

    def drop(self, issuer: Issuer, serial: int) -> None:
        """Forget every answer about one certificate."""
        self._count[issuer.record.id] = self._count.get(issuer.record.id, 0) - len(
            self._singles.get(issuer.record.id, {}).pop(serial, {})
        )
        if _usual(serial):
            octets = serial.to_bytes(_SERIAL_OCTETS, "big")
            for key in _group_keys(issuer):
                for groups in (self._groups, self._filling):
                    if key in groups:
                        groups[key].signatures.pop(octets, None)

    def drop_issuer(self, issuer: Issuer) -> None:
        """Forget every answer of an issuer: its signer is not to be trusted any more."""
        self._singles.pop(issuer.record.id, None)
        self._count.pop(issuer.record.id, None)
        for key in _group_keys(issuer):
            self._groups.pop(key, None)
            self._filling.pop(key, None)

    def fill(
        self, issuer: Issuer, hash_name: str, batch: Batch, serials: Iterable[int], serve_until: datetime
    ) -> Iterator[int]:
        """Sign good answers and put them in service, the old ones being served until the last is done.

        Yields the number signed so far after each one. Serials that have not 20 octets are left to be signed when
        they are asked for.
        """
        key = _group_key(issuer, hash_name)
        group = _Group(issuer.record.id, batch, serve_until)
        if key in self._groups:
            self._filling[key] = group
        else:
            self._groups[key] = group
        signatures, revoked = group.signatures, issuer.revoked
        usual = (serial for serial in serials if serial not in revoked and _usual(serial))
        while some := list(islice(usual, batch.at_once)):
            if issuer.compromised is not None:
                break
            octets = [serial.to_bytes(_SERIAL_OCTETS, "big") for serial in some]
            for serial, name, signature in zip(some, octets, batch.sign_many(octets), strict=True):
                if signature is None:
                    continue
                signatures[name] = signature
                if serial in revoked:
                    # Revoked by another thread while it was signed.
                    signatures.pop(name, None)
                yield len(signatures)
        if self._filling.pop(key, None) is group:
            self._groups[key] = group
        if issuer.compromised is not None:
            # By another thread, which has perhaps dropped what there was before these were in service.
            self.drop_issuer(issuer)


def _usual(serial: int) -> bool:
    """Whether the serial's INTEGER has the usual number of octets."""
    return serial > 0 and serial.bit_length() // 8 + 1 == _SERIAL_OCTETS


def _group_key(issuer: Issuer, hash_name: str) -> bytes:
    """All octets of a request in its usual form, but for the serial number: what finds the group without reading."""
    return write_request(issuer.name.cert_id(hash_name, 1 << 8 * _SERIAL_OCTETS - 2))[:-_SERIAL_OCTETS]


def _group_keys(issuer: Issuer) -> list[bytes]:
    return [_group_key(issuer, hash_name) for hash_name in issuer.name.keys]
