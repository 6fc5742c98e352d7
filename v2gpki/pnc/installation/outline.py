"""A fresh contract certificate looked at in a few microseconds: its issuer, subject and key as DER.

`certs.view` reads a certificate once and for all, which pays for what is read again; a contract's leaf is new every
time. What this look cannot confirm at once is left to the full one, which also words the errors. Sources: RFC 5280 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from v2gpki.certs.slices import content, slices
from v2gpki.certs.view import view

_COMMON_NAME = b"\x06\x03\x55\x04\x03"
_BASIC_CONSTRAINTS = b"\x06\x03\x55\x1d\x13"
#: BasicConstraints of a leaf, behind its OID: an empty SEQUENCE, with and without the mark of criticality.
_NO_CA = (b"\x01\x01\xff\x04\x02\x30\x00", b"\x04\x02\x30\x00")
_SUB_CAS_KNOWN = 2


def confirms(chain: Sequence[bytes], emaid: str, spki: bytes) -> bool:
    """Whether the chain's leaf names the next certificate (name and key identifier) as its issuer, has this EMAID as
    its only CN, letter for letter, this key, and says that it is no CA. False says nothing: look at it
    with `certs.view`."""
    if len(chain) < _SUB_CAS_KNOWN:
        return False
    leaf, issuer = chain[0], view(chain[1])
    try:
        x509.load_der_x509_certificate(leaf)
        named, subject, key = slices(leaf)
        common_names = _common_names(subject)
    except (IndexError, ValueError, x509.InvalidVersion):
        return False
    identifier = issuer.key_identifier
    return (
        key == spki
        and not view(chain[-1]).self_issued
        and named == issuer.subject
        and bool(identifier)
        and leaf.count(b"\x80" + len(identifier).to_bytes(1, "big") + identifier) == 1
        and common_names == [emaid.encode()]
        and leaf.partition(_BASIC_CONSTRAINTS)[2].startswith(_NO_CA)
    )


def _common_names(name: bytes) -> list[bytes]:
    """The values of every CN in a DER name."""
    found = []
    at, end = content(name, 0)
    while at < end:
        inner, at = content(name, at)
        while inner < at:
            attribute, inner = content(name, inner)
            kind, value = attribute, content(name, attribute)[1]
            if name[kind:value] == _COMMON_NAME:
                start, stop = content(name, value)
                found.append(name[start:stop])
    return found
