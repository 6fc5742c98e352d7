"""CMS SignedData with one signer over content that it carries: written, and opened with its signature checked.

ECDSA on P-256 and P-521 with SHA-2, Ed448 with SHAKE256. The signature covers signed attributes (content type, digest,
signing time); the signer's certificate is inside. ``open_signed`` raises unless digest and signature hold under that
certificate; whether it may sign such content is for the caller to say. Refused: several signers, no signed attributes,
SHA-1, RSA. Sources: RFC 5652 5, 11; RFC 5753 2.1; RFC 8419.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448

from v2gpki.certs import ber, der
from v2gpki.certs.cms import DATA, SIGNED_DATA, certificates_in, malformed, signed_data, unarmoured
from v2gpki.certs.lint.reader import MalformedError
from v2gpki.certs.view import CertificateView, view
from v2gpki.errors import V2GPKIError
from v2gpki.keys.signer import Signer

_CONTENT_TYPE = der.oid("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = der.oid("1.2.840.113549.1.9.4")
_SIGNING_TIME = der.oid("1.2.840.113549.1.9.5")
_SHA256 = der.oid("2.16.840.1.101.3.4.2.1")
_SHA384 = der.oid("2.16.840.1.101.3.4.2.2")
_SHA512 = der.oid("2.16.840.1.101.3.4.2.3")
_SHAKE256_LEN = der.oid("2.16.840.1.101.3.4.2.18")
#: RFC 8419 2.3: Ed448 goes with 512 bits of SHAKE256.
_DIGESTS = {
    "p256": der.sequence(_SHA256),
    "p521": der.sequence(_SHA512),
    "ed448": der.sequence(_SHAKE256_LEN, der.integer(512)),
}
_HASHES: dict[bytes, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    _SHA256: hashes.SHA256,
    _SHA384: hashes.SHA384,
    _SHA512: hashes.SHA512,
}
_SIGNED_ATTRIBUTES = 0xA0


@dataclass(frozen=True, slots=True)
class Signed:
    """Content whose signature holds: ``signer`` is the DER certificate that it holds under, ``certificates`` all that
    came along; ``signed_at`` is what the signer claims, None when it says nothing."""

    content: bytes
    signer: bytes
    certificates: tuple[bytes, ...]
    signed_at: datetime | None


@dataclass(frozen=True, slots=True)
class _SignerInfo:
    """The one SignerInfo, taken apart."""

    issuer: bytes
    serial: int
    key_identifier: bytes
    digest: bytes
    attributes: bytes
    signature: bytes


def sign(content: bytes, *, signer: Signer, certificate: bytes, chain: Sequence[bytes] = (), at: datetime) -> bytes:
    """A DER ContentInfo that carries ``content`` and its signature.

    ``certificate`` is the signer's (DER), ``chain`` others to carry, in their order. Raises ``cms.wrong_signer`` when
    key and certificate are not of one another.
    """
    seen = view(certificate)
    if seen.spki != signer.spki:
        raise V2GPKIError(
            "cms.wrong_signer",
            f"the key does not belong to the certificate of {seen.subject_text}",
            hint="name key and certificate of the same signer",
        )
    algorithm = _DIGESTS[signer.suite.name]
    attributes = (
        der.sequence(_CONTENT_TYPE, der.set_of(DATA)),
        der.sequence(_SIGNING_TIME, der.set_of(der.time(at))),
        der.sequence(_MESSAGE_DIGEST, der.set_of(der.octet_string(_digest(algorithm, content)))),
    )
    signed = der.set_of(*attributes)
    identity = der.sequence(seen.issuer, der.integer(seen.serial))
    info = der.sequence(
        der.integer(1),
        identity,
        algorithm,
        bytes((_SIGNED_ATTRIBUTES,)) + signed[1:],
        signer.suite.signature_algorithm,
        der.octet_string(signer.sign(signed)),
    )
    body = der.sequence(
        der.integer(1),
        der.set_of(algorithm),
        der.sequence(DATA, der.explicit(0, der.octet_string(content))),
        der.implicit(0, b"".join(dict.fromkeys((certificate, *chain))), constructed=True),
        der.set_of(info),
    )
    return der.sequence(SIGNED_DATA, der.explicit(0, body))


def open_signed(data: bytes) -> Signed:
    """The content of CMS SignedData (DER, BER, PEM or base64), its signature checked.

    Raises ``cms.malformed``, ``cms.unsigned``, ``cms.no_content``, ``cms.wrong_signer``, ``cms.bad_signature``.
    """
    octets = unarmoured(data)
    try:
        content, certificates, infos = _taken_apart(octets)
        if len(infos) != 1:
            raise V2GPKIError(
                "cms.unsigned",
                f"the CMS structure has {len(infos)} signatures, one is wanted",
                hint="certificates alone (certs-only) are no signed content",
                clause="RFC 5652 5.3",
            )
        info = infos[0]
        signer = _certificate_of(info, certificates)
        claimed, moment = _attributes(info.attributes)
    except MalformedError as problem:
        raise malformed(str(problem)) from problem
    if content is None:
        raise V2GPKIError(
            "cms.no_content",
            "the CMS structure carries a signature and no content",
            hint="ask for the signature with its content inside (openssl cms -sign -nodetach)",
            clause="RFC 5652 5.2",
        )
    if not hmac.compare_digest(claimed, _digest(info.digest, content)):
        raise _bad_signature(signer, "the content is not the one that was signed")
    _verify(signer, info)
    return Signed(content, signer.der, tuple(certificates), moment)


def _taken_apart(data: bytes) -> tuple[bytes | None, list[bytes], list[_SignerInfo]]:
    """(content, certificates, signer infos)."""
    body = signed_data(data)
    parts = list(ber.inside(data, body, "the SignedData"))
    if len(parts) < 4 or parts[2].tag != der.SEQUENCE or parts[-1].tag != der.SET:
        raise MalformedError(f"the SignedData has not its parts, at octet {body.at}")
    content: bytes | None = None
    for wrapped in list(ber.inside(data, parts[2], "the content"))[1:]:
        inner = ber.element(data, wrapped.start, wrapped.stop, "the content")
        if inner.tag & 0x1F != der.OCTET_STRING:
            raise MalformedError(f"the content is no OCTET STRING, at octet {inner.at}")
        content = ber.string(data, inner, "the content")
    certificates = [one for part in parts[3:-1] if part.tag == 0xA0 for one in certificates_in(data, part)]
    infos = [_signer_info(data, found) for found in ber.inside(data, parts[-1], "a SignerInfo")]
    return content, certificates, infos


def _signer_info(data: bytes, outer: ber.Element) -> _SignerInfo:
    parts = list(ber.inside(data, outer, "the SignerInfo"))
    if len(parts) < 6 or parts[3].tag != _SIGNED_ATTRIBUTES:
        raise MalformedError(f"the SignerInfo has no signed attributes, at octet {outer.at}")
    identity, issuer, serial, key = parts[1], b"", 0, b""
    if identity.tag == der.SEQUENCE:
        named, number = list(ber.inside(data, identity, "the signer's name"))[:2]
        issuer = data[named.at : named.after]
        serial = int.from_bytes(data[number.start : number.stop], "big", signed=True)
    else:
        key = data[identity.start : identity.stop]
    attributes = parts[3]
    # What was signed is the SET OF, whatever tag stands in its place (RFC 5652 5.4).
    signed = bytes((der.SET,)) + data[attributes.at + 1 : attributes.after]
    signature = ber.string(data, parts[5], "the signature")
    return _SignerInfo(issuer, serial, key, data[parts[2].at : parts[2].after], signed, signature)


def _certificate_of(info: _SignerInfo, certificates: Sequence[bytes]) -> CertificateView:
    for one in certificates:
        seen = view(one)
        named = (seen.issuer, seen.serial) == (info.issuer, info.serial)
        if named or (info.key_identifier and seen.key_identifier == info.key_identifier):
            return seen
    raise V2GPKIError(
        "cms.wrong_signer",
        "the signer's certificate is not in the CMS structure",
        hint="sign with the certificate included",
        clause="RFC 5652 5.1",
    )


def _attributes(encoded: bytes) -> tuple[bytes, datetime | None]:
    """(message digest, signing time) of the signed attributes."""
    outer = ber.expected(encoded, der.SET, 0, len(encoded), "the signed attributes")
    found: dict[bytes, tuple[int, bytes]] = {}
    for attribute in ber.inside(encoded, outer, "a signed attribute"):
        kind = ber.expected(encoded, der.OID, attribute.start, attribute.stop, "an attribute type")
        values = ber.expected(encoded, der.SET, kind.after, attribute.stop, "the attribute values")
        value = ber.element(encoded, values.start, values.stop, "an attribute value")
        found[encoded[kind.at : kind.after]] = value.tag, encoded[value.start : value.stop]
    if found.get(_CONTENT_TYPE, (0, b""))[1] != DATA[2:]:
        raise MalformedError("the signed attributes name another type of content")
    if _MESSAGE_DIGEST not in found:
        raise MalformedError("the signed attributes have no message digest")
    tag, text = found.get(_SIGNING_TIME, (0, b""))
    return found[_MESSAGE_DIGEST][1], _moment(tag, text) if tag else None


def _moment(tag: int, text: bytes) -> datetime:
    form = "%y%m%d%H%M%SZ" if tag == der.UTC_TIME else "%Y%m%d%H%M%SZ"
    try:
        moment = datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC)
    except (ValueError, UnicodeDecodeError) as problem:
        raise MalformedError("the signing time cannot be read") from problem
    # RFC 5652 11.3: two digits of 50 and more are of the last century.
    return moment if moment.year < 2050 or tag != der.UTC_TIME else moment.replace(year=moment.year - 100)


def _digest(algorithm: bytes, content: bytes) -> bytes:
    kind = _kind(algorithm)
    if kind in _HASHES:
        return hashlib.new(_HASHES[kind].name, content).digest()
    if kind == _SHAKE256_LEN and algorithm == _DIGESTS["ed448"]:
        return hashlib.shake_256(content).digest(64)
    raise V2GPKIError(
        "cms.bad_signature",
        "the content was signed with a digest that is not accepted here",
        hint="use SHA-256, SHA-384 or SHA-512, or SHAKE256 with Ed448",
        clause="RFC 5754 2, RFC 8419 2.3",
    )


def _kind(algorithm: bytes) -> bytes:
    """The OID of an AlgorithmIdentifier."""
    outer = ber.element(algorithm, 0, len(algorithm), "the digest algorithm")
    kind = ber.element(algorithm, outer.start, outer.stop, "the digest algorithm")
    return algorithm[kind.at : kind.after]


def _verify(signer: CertificateView, info: _SignerInfo) -> None:
    key = signer.x509.public_key()
    kind = _kind(info.digest)
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and kind in _HASHES:
            key.verify(info.signature, info.attributes, ec.ECDSA(_HASHES[kind]()))
        elif isinstance(key, ed448.Ed448PublicKey):
            key.verify(info.signature, info.attributes)
        else:
            raise _bad_signature(signer, "keys of this kind are not accepted")
    except InvalidSignature as problem:
        raise _bad_signature(signer, "it is not of this key, or what it covers was changed") from problem


def _bad_signature(signer: CertificateView, why: str) -> V2GPKIError:
    return V2GPKIError(
        "cms.bad_signature",
        f"the signature of {signer.subject_text} does not hold: {why}",
        hint="get the file again from its owner, and compare it on another way",
        clause="RFC 5652 5.6",
        facts={"signer": signer.subject_text, "fingerprint": signer.fingerprint.hex()},
    )
