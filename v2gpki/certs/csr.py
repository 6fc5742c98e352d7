"""Certificate requests and public keys from outside: what they may bring is a key and identifiers, nothing else.

``load_csr`` takes PEM, DER, or the bare base64 that stations and EST clients post; it demands that the request is
signed with its own key (SHA-256 or better, or Ed448). Subject and extensions of a request are never taken over: a
profile decides them. Refused: RSA and foreign curves, points that are none, octets behind the request, more than 64
KiB. An X448 key cannot sign a request; it comes as a public key file. Sources: RFC 2986, RFC 5967, RFC 7468 7 and 13.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.x509.oid import NameOID

from v2gpki.certs.lint.reader import SEQUENCE, MalformedError, Reader
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import PrivateKey, Suite, load_public_key, plain_suite, spki_of, suite_of, suite_of_spki

LARGEST = 65536

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_REQUEST_LABELS = {b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST"}
_KEY_LABELS = {b"PUBLIC KEY"}
_GOOD_HASHES = ("sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """What is used of a request whose signature holds.

    ``spki`` is the key as DER SubjectPublicKeyInfo (EC points uncompressed), ``subject_identifiers`` all common names
    in the order of the subject, ``der`` the request itself.
    """

    spki: bytes
    suite: Suite
    subject_identifiers: tuple[str, ...]
    der: bytes


def load_csr(data: bytes) -> CertificateRequest:
    """Read one certificate request and check its signature.

    Raises ``csr.malformed``, ``csr.too_large``, ``csr.unsupported_key``, ``csr.bad_signature``, ``csr.weak_signature``.
    """
    if len(data) > LARGEST:
        raise V2GPKIError(
            "csr.too_large",
            f"the request has {len(data)} octets, more than {LARGEST}",
            hint="a request for an EC key has less than 2,000 octets",
            facts={"size": len(data), "limit": LARGEST},
        )
    der = _unarmoured(data, _REQUEST_LABELS, "certificate request", _malformed)
    try:
        request = x509.load_der_x509_csr(der)
    except (ValueError, x509.InvalidVersion) as problem:
        raise _malformed(f"it is no PKCS#10 request ({_first_line(problem)})") from problem
    # The value is a BIT STRING of whole octets; some readers take unused bits where the last ones happen to be zero.
    if der[len(der) - len(request.signature) - 1 : len(der) - len(request.signature)] != b"\x00":
        raise _malformed("its signature has unused bits")
    spki = _requested_key(request)
    suite = plain_suite(spki)
    if suite is None or not _proves(request):
        # The key is written otherwise, or it is no key: read by itself, and named if it is refused.
        spki = _canonical(spki, "the requested key", "csr.unsupported_key")
        suite = suite_of_spki(spki)
        if not suite.signs:
            raise _unsupported_key("an X448 key, which cannot have signed this request", "RFC 8410 1")
        _check_signature(request)
    try:
        names = tuple(
            value.decode("latin-1") if isinstance(value := attribute.value, bytes) else value
            for attribute in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        )
    except ValueError as problem:
        raise _malformed(f"its subject cannot be read ({_first_line(problem)})") from problem
    return CertificateRequest(spki, suite, names, der)


def load_public_key_file(data: bytes) -> bytes:
    """The DER SubjectPublicKeyInfo (EC points uncompressed) in a file: PEM, DER, or bare base64.

    Raises ``key.malformed`` and ``key.unsupported``; a private key, certificate or request is named as such.
    """
    for label in (b"PRIVATE KEY-----", b"CERTIFICATE-----", b"CERTIFICATE REQUEST-----"):
        if b"-----BEGIN PUBLIC KEY-----" not in data and label in data:
            raise V2GPKIError(
                "key.malformed",
                f"a public key is wanted, and the file holds a {label.decode('ascii').strip('-').lower()}",
                hint="write the public half alone: openssl pkey -in key.pem -pubout (for a request: --csr)",
                clause="RFC 7468 13",
            )
    if len(data) > LARGEST:
        raise _malformed_key(f"it has {len(data)} octets, more than {LARGEST}")
    return _canonical(_unarmoured(data, _KEY_LABELS, "public key", _malformed_key), "the public key", "")


def build_csr(
    private_key: PrivateKey,
    common_name: str,
    *,
    organization: str = "",
    country: str = "",
    domain_component: str = "",
) -> bytes:
    """A request (PEM) with subject C, O, CN, DC as far as they are given, and the key usage digitalSignature.

    Raises ``csr.unsupported_key`` for X448 and ``csr.bad_subject`` for values that no name may carry.
    """
    suite = suite_of(private_key)
    if isinstance(private_key, ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey):
        signing_key = private_key
    else:
        raise _unsupported_key("an X448 key, which cannot sign a request", "RFC 8410 1")
    values = (
        (NameOID.COUNTRY_NAME, country),
        (NameOID.ORGANIZATION_NAME, organization),
        (NameOID.COMMON_NAME, common_name),
        (NameOID.DOMAIN_COMPONENT, domain_component),
    )
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    try:
        subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in values if value])
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(usage, critical=True)
        request = builder.sign(signing_key, _hash_of(suite))
    except ValueError as problem:
        raise V2GPKIError(
            "csr.bad_subject",
            f"the subject cannot be written: {_first_line(problem)}",
            hint="C has two letters, O and CN at most 64 characters",
            clause="RFC 5280 A.1",
        ) from problem
    return request.public_bytes(serialization.Encoding.PEM)


def _hash_of(suite: Suite) -> hashes.SHA256 | hashes.SHA512 | None:
    return suite.hash if isinstance(suite.hash, hashes.SHA256 | hashes.SHA512) else None


def _unarmoured(data: bytes, labels: set[bytes], what: str, malformed: Callable[[str], V2GPKIError]) -> bytes:
    """The one DER value in PEM, DER or bare base64, without octets behind it."""
    if b"-----BEGIN" in data:
        blocks = [(match[1], match[2]) for match in _BLOCK.finditer(data)]
        bodies = [body for label, body in blocks if label in labels]
        if len(bodies) != 1:
            others = ", ".join(sorted({label.decode("ascii") for label, _ in blocks})) or "no complete block"
            raise malformed(f"one {what} is wanted, and the PEM text holds {len(bodies)} (found: {others})")
        armoured = bodies[0]
    else:
        armoured = b"" if data[:1] == b"\x30" else data
    try:
        # DER starts with the octet 30, its base64 with M: neither is taken for the other.
        der = base64.b64decode(b"".join(armoured.split()), validate=True) if armoured else data
        reader = Reader(der)
        _, stop = reader.expect(SEQUENCE, 0, len(der), f"the {what}")
        reader.close(stop, len(der), f"the {what}")
    except binascii.Error as problem:
        raise malformed("it is neither PEM nor DER nor base64") from problem
    except MalformedError as problem:
        raise malformed(str(problem)) from problem
    return der


def _requested_key(request: x509.CertificateSigningRequest) -> bytes:
    """The SubjectPublicKeyInfo as it was written: CertificationRequestInfo ::= version, subject, subjectPKInfo, .."""
    info = request.tbs_certrequest_bytes
    reader = Reader(info)
    at, end = reader.expect(SEQUENCE, 0, len(info), "the request's content")
    for part in ("the version", "the subject"):
        _, _, at = reader.take(at, end, part)
    _, _, stop = reader.take(at, end, "the requested key")
    return info[at:stop]


def _canonical(spki: bytes, what: str, unsupported_code: str) -> bytes:
    """The key with its EC point uncompressed: the same key, in the one form that certificates here carry."""
    try:
        return spki_of(load_public_key(spki))
    except V2GPKIError as problem:
        if problem.code == "key.unsupported" and unsupported_code:
            found = problem.facts.get("found")
            raise _unsupported_key(str(found), problem.clause) from problem
        message = problem.message.replace("the public key", what, 1)
        code = "csr.malformed" if unsupported_code else problem.code
        raise V2GPKIError(code, message, hint=problem.hint, clause=problem.clause, facts=problem.facts) from problem


def _proves(request: x509.CertificateSigningRequest) -> bool:
    """Whether the request's key is one, on its curve, and signed it with a good hash: both are found out at once."""
    try:
        algorithm = request.signature_hash_algorithm
        return algorithm is not None and algorithm.name in _GOOD_HASHES and request.is_signature_valid
    except (UnsupportedAlgorithm, ValueError):
        return False


def _check_signature(request: x509.CertificateSigningRequest) -> None:
    """Proof that the requester holds the key (RFC 2986 4.2)."""
    try:
        algorithm = request.signature_hash_algorithm
        if algorithm is not None and algorithm.name not in _GOOD_HASHES:
            raise V2GPKIError(
                "csr.weak_signature",
                f"the request is signed with {algorithm.name}",
                hint="sign it with SHA-256 or SHA-512",
                clause="RFC 5758 3.2",
                facts={"hash": algorithm.name},
            )
        holds = request.is_signature_valid
    except UnsupportedAlgorithm as problem:
        raise _bad_signature("by an unknown algorithm") from problem
    if not holds:
        raise _bad_signature("by another key, or was changed")


def _first_line(problem: Exception) -> str:
    return str(problem).partition("\n")[0][:160]


def _malformed(why: str) -> V2GPKIError:
    return V2GPKIError(
        "csr.malformed",
        f"the request cannot be read: {why}",
        hint="give PEM, DER or base64 of one PKCS#10 request (openssl req -new)",
        clause="RFC 2986",
    )


def _malformed_key(why: str) -> V2GPKIError:
    return V2GPKIError(
        "key.malformed",
        f"the public key file cannot be read: {why}",
        hint="give PEM or DER of one SubjectPublicKeyInfo (openssl pkey -in key.pem -pubout)",
        clause="RFC 7468 13",
    )


def _unsupported_key(found: str, clause: str) -> V2GPKIError:
    return V2GPKIError(
        "csr.unsupported_key",
        f"the request is for {found}",
        hint="use P-256 for ISO 15118-2, P-521 or Ed448 for ISO 15118-20; an X448 key comes as a file with --pubkey",
        clause=clause,
        facts={"found": found},
    )


def _bad_signature(how: str) -> V2GPKIError:
    return V2GPKIError(
        "csr.bad_signature",
        f"the request is not signed by the key that it asks a certificate for: it is signed {how}",
        hint="make the request again; if it came over a network, it was changed on the way",
        clause="RFC 2986 4.2",
    )
