"""Certificates that are no DER although they say one thing only: how they are spelled in DER.

Encoders in the field write values that DER leaves out (cA FALSE, critical FALSE, version 1) or TRUE as another octet
than FF; the library that reads our certificates refuses them as a whole. ``respelled`` gives it a spelling that it
reads; every other octet stays as it is, so whatever else is wrong is refused as before. The signature covers the
certificate as it was written: nobody may verify, keep or send the other spelling. Refused stays what contradicts
itself: a version 1 with extensions, a BOOLEAN of several octets, a value behind its place.
Sources: X.690 8.2.2, 11.1, 11.5; RFC 5280 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from v2gpki.certs import der
from v2gpki.certs.lint.reader import (
    BOOLEAN,
    OCTET_STRING,
    SEQUENCE,
    MalformedError,
    Reader,
    context,
    dotted_oid,
    oid_octets,
)

_BASIC_CONSTRAINTS = oid_octets("2.5.29.19")
_VERSION = context(0, constructed=True)
_EXTENSIONS = context(3, constructed=True)
_VERSION_1 = der.explicit(0, der.integer(0))


@dataclass(frozen=True, slots=True)
class Respelled:
    """``der`` is the spelling in DER, ``tbs`` the TBSCertificate as it was written, which the signature covers;
    ``liberties`` names what was no DER."""

    der: bytes
    tbs: bytes
    liberties: tuple[str, ...]


def respelled(octets: bytes) -> Respelled | None:
    """The DER spelling of a certificate; None where there is nothing to spell otherwise, or no one meaning."""
    speller = _Speller(octets)
    try:
        return speller.certificate()
    except MalformedError:
        return None


class _Speller:
    """Walks one certificate; everything that it takes apart must be strict DER but for the liberties."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._reader = Reader(octets)
        self._liberties: list[str] = []

    def certificate(self) -> Respelled | None:
        reader, octets = self._reader, self._octets
        whole, end = reader.expect(SEQUENCE, 0, len(octets), "the certificate")
        reader.close(end, len(octets), "the certificate")
        at, stop = reader.expect(SEQUENCE, whole, end, "tbsCertificate")
        tbs = self._tbs(at, stop)
        if reader.flaws or not self._liberties:
            # A length in another form than the shortest: writing it anew would hide it.
            return None
        return Respelled(der.sequence(tbs, octets[stop:end]), octets[whole:stop], tuple(self._liberties))

    def _tbs(self, at: int, stop: int) -> bytes:
        reader, octets = self._reader, self._octets
        fields: list[bytes] = []
        version_1 = octets.startswith(_VERSION_1, at)
        if version_1:
            at += len(_VERSION_1)
            self._liberties.append("version 1 is written although it is the default")
        while at < stop:
            tag, start, end = reader.take(at, stop, "a field of tbsCertificate")
            if version_1 and tag in {_VERSION, _EXTENSIONS}:
                raise MalformedError("version 1 has no extensions, and the version stands there once")
            if tag == _EXTENSIONS:
                fields.append(der.explicit(3, self._extensions(start, end)))
            else:
                fields.append(octets[at:end])
            at = end
        return der.sequence(*fields)

    def _extensions(self, at: int, end: int) -> bytes:
        at, stop = self._reader.expect(SEQUENCE, at, end, "extensions")
        self._reader.close(stop, end, "extensions")
        found = []
        while at < stop:
            inner, at = self._reader.expect(SEQUENCE, at, stop, "an extension")
            found.append(self._extension(inner, at))
        return der.sequence(*found)

    def _extension(self, at: int, stop: int) -> bytes:
        reader, octets = self._reader, self._octets
        oid, after = reader.object_identifier(at, stop, "extnID")
        name = octets[at:after]
        critical, after = self._boolean(after, stop, f"critical of {dotted_oid(oid)}")
        start, end = reader.expect(OCTET_STRING, after, stop, "extnValue")
        reader.close(end, stop, "an extension")
        value = self._basic_constraints(start, end) if oid == _BASIC_CONSTRAINTS else octets[start:end]
        return der.sequence(name, critical, der.octet_string(value))

    def _basic_constraints(self, at: int, end: int) -> bytes:
        inner, stop = self._reader.expect(SEQUENCE, at, end, "basicConstraints")
        self._reader.close(stop, end, "basicConstraints")
        ca, after = self._boolean(inner, stop, "cA of basicConstraints")
        return der.sequence(ca, self._octets[after:stop])

    def _boolean(self, at: int, end: int, what: str) -> tuple[bytes, int]:
        """A BOOLEAN DEFAULT FALSE, if one stands there, as DER writes it; and where what follows starts."""
        octets = self._octets
        if at >= end or octets[at] != BOOLEAN:
            return b"", at
        start, stop = self._reader.expect(BOOLEAN, at, end, what)
        if stop - start != 1:
            raise MalformedError(f"{what} is a BOOLEAN of {stop - start} octets")
        if stop < end and octets[stop] == BOOLEAN:
            # Left out, the first one would let the second take its place.
            raise MalformedError(f"{what} is there twice")
        octet = octets[start]
        if not octet:
            self._liberties.append(f"{what} is written as FALSE although that is the default")
            return b"", stop
        if octet != 0xFF:
            self._liberties.append(f"{what} is TRUE written as {octet:02x} instead of ff")
        return der.TRUE, stop
