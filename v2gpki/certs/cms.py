"""CMS certs-only (PKCS#7, .p7c): certificates in one container, in the order that was given.

Written by hand, because order carries meaning in the field: some clients take the first certificate as the leaf, others
the last as the root, while DER would sort the set and libraries do. Readers of both kinds take the unsorted set.
Read is BER in any armour (DER, PEM, bare base64 in lines or not). It judges no certificate and knows no signers.
Sources: RFC 5652 5.1, RFC 7030 4.1.3, RFC 8951 3.1.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from functools import lru_cache

from v2gpki.certs import ber, der
from v2gpki.certs.lint.reader import MalformedError
from v2gpki.errors import V2GPKIError

DATA = der.oid("1.2.840.113549.1.7.1")
SIGNED_DATA = der.oid("1.2.840.113549.1.7.2")
#: More than any root pool has; beyond it the input is no answer to a question of ours.
LARGEST = 8 * 1024 * 1024

_BLOCK = re.compile(rb"-----BEGIN (PKCS7|PKCS #7 SIGNED DATA|CMS)-----(.*?)-----END \1-----", re.DOTALL)
#: version 1, no digest algorithms, content of the type data that is not there
_HEAD = der.integer(1) + der.set_of() + der.sequence(DATA)
_NO_SIGNERS = der.set_of()
#: The choices of CertificateSet (RFC 5652 10.2.3) that are no X.509 certificates.
_OTHER_CHOICES = frozenset({0xA0, 0xA1, 0xA2, 0xA3})


def certs_only(certificates: Sequence[bytes]) -> bytes:
    """A ContentInfo that holds these DER certificates, unsorted: leaf first, root last, if so given."""
    held = b"".join(certificates)
    return _before(len(held)) + held + _NO_SIGNERS


@lru_cache(maxsize=64)
def _before(size: int) -> bytes:
    """Everything before so many octets of certificates; what stands after them has no length of theirs in it."""
    held = der.implicit(0, bytes(size), constructed=True)
    whole = der.sequence(SIGNED_DATA, der.explicit(0, der.sequence(_HEAD, held, _NO_SIGNERS)))
    return whole[: len(whole) - len(_NO_SIGNERS) - size]


def load_certs_only(data: bytes) -> list[bytes]:
    """The DER certificates of a CMS container, in its own order; no certificate is looked into.

    Raises ``cms.malformed`` for what is no CMS SignedData, ``cms.empty`` when it holds no certificate.
    """
    octets = unarmoured(data)
    try:
        held = _certificates(octets)
    except MalformedError as problem:
        raise malformed(str(problem)) from problem
    if not held:
        raise V2GPKIError(
            "cms.empty",
            "the CMS container holds no certificate",
            hint="ask its sender: a certs-only answer carries at least one",
            clause="RFC 7030 4.1.3",
        )
    return held


def unarmoured(data: bytes) -> bytes:
    """The BER octets in PEM, bare base64 (in lines or in one) or BER itself; raises ``cms.malformed``."""
    if len(data) > LARGEST:
        raise malformed(f"it has {len(data)} octets, more than {LARGEST}")
    block = _BLOCK.search(data)
    if block is None and b"-----BEGIN" in data:
        raise malformed("the PEM text has no PKCS7 or CMS block")
    text = block[2] if block is not None else data
    if block is None and data[:1] == b"\x30":
        return data
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error as problem:
        raise malformed("it is neither PEM nor BER nor base64") from problem


def signed_data(data: bytes) -> ber.Element:
    """Where the SignedData inside a ContentInfo is; raises ``MalformedError``."""
    outer = ber.expected(data, der.SEQUENCE, 0, len(data), "the ContentInfo")
    if outer.after != len(data):
        raise MalformedError(f"{len(data) - outer.after} octets follow the ContentInfo, at octet {outer.after}")
    kind = ber.expected(data, der.OID, outer.start, outer.stop, "the content type")
    if data[kind.at : kind.after] != SIGNED_DATA:
        raise MalformedError(f"the content is not SignedData, at octet {kind.at}")
    content = ber.expected(data, 0xA0, kind.after, outer.stop, "the content")
    return ber.expected(data, der.SEQUENCE, content.start, content.stop, "the SignedData")


def certificates_in(data: bytes, held: ber.Element) -> list[bytes]:
    """The X.509 certificates of a CertificateSet, in its order; attribute certificates are passed over."""
    return [
        data[found.at : found.after]
        for found in ber.inside(data, held, "a certificate")
        if found.tag not in _OTHER_CHOICES
    ]


def malformed(why: str) -> V2GPKIError:
    """The refusal of what is no CMS."""
    return V2GPKIError(
        "cms.malformed",
        f"the CMS structure cannot be read: {why}",
        hint="CMS SignedData is read as DER, BER, PEM or base64 (openssl crl2pkcs7 -nocrl writes certs-only)",
        clause="RFC 5652 5.1",
    )


def _certificates(data: bytes) -> list[bytes]:
    body = signed_data(data)
    for found in ber.inside(data, body, "the SignedData"):
        if found.tag == 0xA0:
            return certificates_in(data, found)
    return []
