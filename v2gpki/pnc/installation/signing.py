"""The signature over the four elements of a -2 answer, made with nothing twice: what `pnc.signature.sign` gives, in a
fraction of its time. Everything that does not depend on the contract is written once.

Clauses: ISO 15118-2 7.9.2.4, 8.4.3.10.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import TypeAlias

from v2gpki.keys.signer import Signer
from v2gpki.messages import codec, iso2
from v2gpki.messages.schema import Message, NamedValue, QName
from v2gpki.messages.xmldsig import (
    CanonicalizationMethod,
    DigestMethod,
    Reference,
    Signature,
    SignatureMethod,
    SignatureValue,
    SignedInfo,
    Transform,
    Transforms,
)
from v2gpki.pnc.algorithms import CANONICAL_EXI, ECDSA_P256_SHA256, raw_from_signer
from v2gpki.pnc.installation.holes import Holes

Elements2: TypeAlias = tuple[
    iso2.CertificateChainType,
    iso2.ContractSignatureEncryptedPrivateKeyType,
    iso2.DiffieHellmanPublickeyType,
    iso2.EMAIDType,
]
_BODY = "urn:iso:15118:2:2013:MsgBody"
#: Names of the four signed elements, in the order of the message.
NAMES = tuple(
    QName(name, _BODY)
    for name in ("ContractSignatureCertChain", "ContractSignatureEncryptedPrivateKey", "DHpublickey", "eMAID")
)
IDS = ("id1", "id2", "id3", "id4")

_URIS = tuple(f"#{id_}" for id_ in IDS)
_CANONICAL = CanonicalizationMethod(Algorithm=CANONICAL_EXI)
_METHOD = SignatureMethod(Algorithm=ECDSA_P256_SHA256.signature_method)
_TRANSFORMS = Transforms(Transform=(Transform(Algorithm=CANONICAL_EXI),))
_DIGEST = DigestMethod(Algorithm=ECDSA_P256_SHA256.digest_method)


def sign_2(elements: Elements2, signer: Signer) -> Signature:
    """The Signature of a CPS (P-256) over the four elements, whose Ids are `IDS`. Raises `signature.bad_signer`."""
    digests = [hashlib.sha256(octets).digest() for octets in fragments_2(elements)]
    value = signer.sign(_signed_info().fill(*digests))
    return Signature(
        SignedInfo=_info(digests),
        SignatureValue=SignatureValue(value=raw_from_signer(value, ECDSA_P256_SHA256)),
    )


def fragments_2(elements: Elements2) -> tuple[bytes, bytes, bytes, bytes]:
    """The EXI fragments of the four elements, whose Ids are `IDS`. Raises `exi.*`."""
    chain, key, point, emaid = elements
    above = chain.SubCertificates
    return (
        _chain_hole(len(chain.Certificate), None if above is None else above.Certificate).fill(chain.Certificate),
        _key_hole(len(key.value)).fill(key.value),
        _point_hole(len(point.value)).fill(point.value),
        _emaid_hole(len(emaid.value)).fill(emaid.value.encode()) if emaid.value.isascii() else _coded(3, emaid),
    )


def _info(digests: Sequence[bytes]) -> SignedInfo:
    return SignedInfo(
        CanonicalizationMethod=_CANONICAL,
        SignatureMethod=_METHOD,
        Reference=tuple(
            Reference(URI=uri, Transforms=_TRANSFORMS, DigestMethod=_DIGEST, DigestValue=digest)
            for uri, digest in zip(_URIS, digests, strict=True)
        ),
    )


def _coded(place: int, element: Message) -> bytes:
    return codec.encode(NamedValue(NAMES[place], element), "iso15118-2", fragment=True)


def _hole(place: int, size: int, element: Callable[[bytes], Message]) -> Holes:
    return Holes([size], lambda values: _coded(place, element(values[0])))


@cache
def _signed_info() -> Holes:
    size = hashlib.sha256().digest_size
    return Holes([size] * len(IDS), lambda digests: codec.encode(_info(digests), schema="xmldsig", fragment=True))


@lru_cache(maxsize=64)
def _chain_hole(size: int, above: tuple[bytes, ...] | None) -> Holes:
    """A leaf of so many octets with these certificates above it."""
    sub = None if above is None else iso2.SubCertificatesType(Certificate=above)
    return _hole(0, size, lambda leaf: iso2.CertificateChainType(Id=IDS[0], Certificate=leaf, SubCertificates=sub))


@cache
def _key_hole(size: int) -> Holes:
    return _hole(1, size, lambda value: iso2.ContractSignatureEncryptedPrivateKeyType(Id=IDS[1], value=value))


@cache
def _point_hole(size: int) -> Holes:
    return _hole(2, size, lambda value: iso2.DiffieHellmanPublickeyType(Id=IDS[2], value=value))


@cache
def _emaid_hole(size: int) -> Holes:
    return _hole(3, size, lambda value: iso2.EMAIDType(Id=IDS[3], value=value.decode("ascii")))
