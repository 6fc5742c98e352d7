"""Chains of certificates as people hand them over: any container, any order.

Reads PEM bundles (with text between the blocks), DER, several DER certificates in a row, PKCS#7
certs-only (PEM, DER, or the bare base64 of an EST answer), and puts certificates into order, leaf
first, by name, key identifier and signature, never by the name alone: several roots may share one
([V2G2-878]). It refuses what it cannot read, with the place in the file, and judges no validity:
``certs.path`` does. Sources: RFC 7468, RFC 5652, RFC 7030 4.1.3, RFC 5280 6.1.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence

from v2gpki.certs.view import CertificateView, flaw_of_signature, view
from v2gpki.errors import V2GPKIError

_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 #]+)-----")
_CERTIFICATE_LABELS = {b"CERTIFICATE", b"X509 CERTIFICATE"}
_PKCS7_LABELS = {b"PKCS7", b"PKCS #7 SIGNED DATA", b"CMS"}


def load_certificates(data: bytes) -> list[bytes]:
    """The DER certificates in ``data``, in file order.

    Other PEM blocks (keys, requests) are passed over. Raises ``chain.empty`` when nothing is found and
    ``chain.malformed`` with the line or octet of what cannot be read.
    """
    if not data.strip():
        raise _empty("the input is empty")
    if b"-----BEGIN" in data:
        found = _from_pem(data)
        if not found:
            labels = ", ".join(sorted({match[1].decode() for match in _BEGIN.finditer(data)}))
            raise _empty(f"there is no certificate in the PEM file, only: {labels}")
        return found
    if data[:1] == b"\x30":
        return _from_der(data, "")
    bare = _bare_base64(data)
    if bare is not None:
        return _from_der(bare, "the base64 text: ")
    raise _malformed("the input is neither PEM nor DER nor base64", "octet 0", octet=0)


def pem(ders: Iterable[bytes]) -> bytes:
    """PEM blocks, 64 characters a line, in the order given."""
    return b"".join(_pem_block(der) for der in ders)


def fingerprint(der: bytes) -> str:
    """SHA-256 of a DER certificate as lower-case hex: the form of every fingerprint that we show."""
    return view(der).fingerprint.hex()


def order(certificates: Sequence[bytes]) -> list[bytes]:
    """Leaf first, then each issuer behind what it signed; duplicates once.

    Two certificates for one name and key (a root and its cross-certificate) stand side by side, the
    self-signed one last. Raises ``chain.empty``; ``chain.ambiguous`` when more than one certificate
    could be the leaf; ``chain.broken`` when some do not belong to the leaf's chain.
    """
    views = [view(der) for der in dict.fromkeys(certificates)]
    leaf = leaf_of(views)
    placed = [leaf]
    level = [leaf]
    while level:
        above = [
            candidate
            for candidate in views
            if candidate not in placed and any(issues(candidate, child) for child in level)
        ]
        level = sorted(above, key=lambda candidate: (candidate.self_issued, candidate.fingerprint))
        placed += level
    strangers = [candidate for candidate in views if candidate not in placed]
    if strangers:
        names = tuple(stranger.subject_text for stranger in strangers)
        raise V2GPKIError(
            "chain.broken",
            f"{len(strangers)} of {len(views)} certificates do not belong to the chain of {leaf.subject_text}: "
            + "; ".join(names),
            hint="give one chain; a missing certificate between the leaf and these would also read like this",
            clause="RFC 5280 6.1",
            facts={"leaf": leaf.subject_text, "strangers": names},
        )
    return [candidate.der for candidate in placed]


def issues(issuer: CertificateView, child: CertificateView) -> bool:
    """Whether ``issuer`` signed ``child``: name, key identifier and signature agree, and they are two."""
    return issuer is not child and issuer.named_by(child) and not flaw_of_signature(child.der, issuer.der)


def leaf_of(views: Sequence[CertificateView]) -> CertificateView:
    """The certificate that a set is about: the only one that signed no other.

    Among several, the only one that is no CA. Raises ``chain.empty`` or ``chain.ambiguous``.
    """
    if not views:
        raise _empty("there is no certificate to put into order")
    ends = [one for one in views if not any(issues(one, other) for other in views)]
    leaves = [one for one in ends if not one.ca]
    for choice in (ends, leaves):
        if len(choice) == 1:
            return choice[0]
    names = tuple(one.subject_text for one in (leaves or ends or views))
    raise V2GPKIError(
        "chain.ambiguous",
        f"{len(names)} certificates could be the leaf: " + "; ".join(names),
        hint="give the certificates of one chain only",
        clause="RFC 5280 6.1",
        facts={"candidates": names},
    )


def _from_pem(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    position = 0
    while match := _BEGIN.search(data, position):
        label = match[1]
        line = data.count(b"\n", 0, match.start()) + 1
        ending = b"-----END " + label + b"-----"
        stop = data.find(ending, match.end())
        following = data.find(b"-----BEGIN", match.end())
        if stop < 0 or 0 <= following < stop:
            raise _malformed(f"the PEM block {label.decode()} has no end", f"line {line}", line=line)
        position = stop + len(ending)
        if label in _CERTIFICATE_LABELS:
            found.append(_checked(_decoded(data[match.end() : stop], line), f"line {line}", line=line))
        elif label in _PKCS7_LABELS:
            found += _from_pkcs7(_decoded(data[match.end() : stop], line), f"line {line}")
    return found


def _decoded(body: bytes, line: int) -> bytes:
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error as problem:
        raise _malformed(f"the PEM block is no base64: {problem}", f"line {line}", line=line) from problem


def _bare_base64(data: bytes) -> bytes | None:
    try:
        decoded = base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error:
        return None
    return decoded if decoded[:1] == b"\x30" else None


def _from_der(data: bytes, within: str) -> list[bytes]:
    if _is_signed_data(data):
        return _from_pkcs7(data, f"{within}octet 0")
    found: list[bytes] = []
    position = 0
    while position < len(data):
        place = f"{within}octet {position}"
        size = _size_at(data, position)
        if size is None:
            raise _malformed(
                f"after {len(found)} certificates come {len(data) - position} octets that are no DER certificate",
                place,
                octet=position,
            )
        found.append(_checked(data[position : position + size], place, octet=position))
        position += size
    return found


def _size_at(data: bytes, position: int) -> int | None:
    """Octets of the SEQUENCE that starts at ``position``; None when there is none or it is cut off."""
    if data[position : position + 1] != b"\x30" or position + 2 > len(data):
        return None
    first = data[position + 1]
    header, content = 2, first
    if first & 0x80:
        count = first & 0x7F
        header, content = 2 + count, int.from_bytes(data[position + 2 : position + 2 + count], "big")
        if not 1 <= count <= 4:
            return None
    return header + content if position + header + content <= len(data) else None


def _is_signed_data(data: bytes) -> bool:
    # The OID is the first value inside the outer SEQUENCE, whose length (also the indefinite one) takes 1 to 5 octets.
    return _SIGNED_DATA in data[2 : 7 + len(_SIGNED_DATA)]


def _from_pkcs7(data: bytes, place: str) -> list[bytes]:
    # asn1crypto takes the BER that openssl crl2pkcs7 and EST servers write: the set as it came, not sorted.
    from asn1crypto import cms  # noqa: PLC0415 (48 ms that only this container pays)

    try:
        held = cms.ContentInfo.load(data, strict=True)["content"]["certificates"]
        certificates = [choice.chosen.dump() for choice in held if choice.name == "certificate"]
    except (ValueError, TypeError, KeyError) as problem:
        reason = str(problem).partition("\n")[0]
        raise _malformed(f"the PKCS#7 structure cannot be read: {reason}", place) from problem
    if not certificates:
        raise _empty("the PKCS#7 structure holds no certificate")
    return [_checked(certificate, place) for certificate in certificates]


def _checked(der: bytes, place: str, **position: int) -> bytes:
    try:
        view(der)
    except V2GPKIError as problem:
        raise _malformed(problem.message, place, **position) from problem
    return der


def _pem_block(der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = b"\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return b"-----BEGIN CERTIFICATE-----\n" + lines + b"\n-----END CERTIFICATE-----\n"


def _malformed(message: str, place: str, **position: int) -> V2GPKIError:
    return V2GPKIError(
        "chain.malformed",
        f"{message} (at {place})",
        hint="certificates are read as PEM, DER or PKCS#7 certs-only; openssl x509 -text shows what a block holds",
        clause="RFC 7468, RFC 5280 4.1",
        facts={"place": place, **position},
    )


def _empty(message: str) -> V2GPKIError:
    return V2GPKIError("chain.empty", message, hint="give at least one certificate as PEM, DER or PKCS#7")
