"""The key suites of Plug & Charge: curve, signature algorithm and their DER forms.

``p256`` (ECDSA with SHA-256, ISO 15118-2), ``p521`` (ECDSA with SHA-512) and ``ed448`` (RFC 8410)
for ISO 15118-20, ``x448`` for keys that agree but cannot sign. RSA and every other curve are refused.
Sources: RFC 5480, RFC 5758, RFC 8410.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x448

from v2gpki.errors import V2GPKIError

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey | x448.X448PrivateKey
PublicKey: TypeAlias = ec.EllipticCurvePublicKey | ed448.Ed448PublicKey | x448.X448PublicKey


@dataclass(frozen=True, slots=True)
class Suite:
    """One key type.

    ``signature_algorithm`` is the DER AlgorithmIdentifier that certificates signed by such a key
    carry (empty when the key cannot sign), ``spki_prefix`` the DER SubjectPublicKeyInfo up to the key
    octets, ``point_size`` the number of those octets, ``signature_size`` the largest number of octets
    in a signatureValue.
    """

    name: str
    title: str
    signature_algorithm: bytes
    spki_prefix: bytes
    point_size: int
    signature_size: int
    curve: ec.EllipticCurve | None = None
    hash: hashes.HashAlgorithm | None = None

    @property
    def signs(self) -> bool:
        """Whether a key of this suite can sign."""
        return bool(self.signature_algorithm)

    def generate(self) -> PrivateKey:
        """A fresh private key from the operating system's randomness."""
        if self.curve is not None:
            return ec.generate_private_key(self.curve)
        return ed448.Ed448PrivateKey.generate() if self.signs else x448.X448PrivateKey.generate()


SUITES: Mapping[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            "p256",
            "ECDSA P-256, SHA-256",
            bytes.fromhex("300a06082a8648ce3d040302"),
            bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"),
            65,
            72,
            ec.SECP256R1(),
            hashes.SHA256(),
        ),
        Suite(
            "p521",
            "ECDSA P-521, SHA-512",
            bytes.fromhex("300a06082a8648ce3d040304"),
            bytes.fromhex("30819b301006072a8648ce3d020106052b8104002303818600"),
            133,
            139,
            ec.SECP521R1(),
            hashes.SHA512(),
        ),
        Suite("ed448", "Ed448", bytes.fromhex("300506032b6571"), bytes.fromhex("3043300506032b6571033a00"), 57, 114),
        Suite("x448", "X448 (key agreement only)", b"", bytes.fromhex("3042300506032b656f033900"), 56, 0),
    )
}


def suite_of(key: PublicKey | PrivateKey) -> Suite:
    """The suite of a key; a curve outside the table raises ``key.unsupported``."""
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        for suite in SUITES.values():
            if suite.curve is not None and suite.curve.name == key.curve.name:
                return suite
        found = f"the curve {key.curve.name}"
    elif isinstance(key, ed448.Ed448PublicKey | ed448.Ed448PrivateKey):
        return SUITES["ed448"]
    elif isinstance(key, x448.X448PublicKey | x448.X448PrivateKey):
        return SUITES["x448"]
    else:
        found = f"a key of type {type(key).__name__}"
    raise V2GPKIError(
        "key.unsupported",
        f"{found} is not used in ISO 15118",
        hint="use P-256 for ISO 15118-2; P-521, Ed448 or X448 for ISO 15118-20",
        clause="[V2G2-006], [V2G2-007], [V2G20-2674], [V2G20-2319]",
        facts={"found": found},
    )


def suite_of_spki(spki: bytes) -> Suite:
    """The suite of a DER SubjectPublicKeyInfo, by its prefix alone: no point check."""
    for suite in SUITES.values():
        if len(spki) == len(suite.spki_prefix) + suite.point_size and spki.startswith(suite.spki_prefix):
            return suite
    return suite_of(load_public_key(spki))


def load_public_key(spki: bytes) -> PublicKey:
    """Parse a DER SubjectPublicKeyInfo; a broken or foreign one raises ``key.malformed`` or ``key.unsupported``."""
    try:
        key = serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as problem:
        raise V2GPKIError(
            "key.malformed",
            "the public key cannot be read: no valid SubjectPublicKeyInfo, or a point that is not on its curve",
            hint="give a DER or PEM SubjectPublicKeyInfo (openssl pkey -pubout)",
            clause="RFC 5280 4.1.2.7",
        ) from problem
    if not isinstance(
        key, ec.EllipticCurvePublicKey | ed448.Ed448PublicKey | x448.X448PublicKey
    ):
        raise V2GPKIError(
            "key.unsupported",
            f"a key of type {type(key).__name__.removesuffix('PublicKey').lstrip('_')} is not used in ISO 15118",
            hint="use P-256 for ISO 15118-2; P-521, Ed448 or X448 for ISO 15118-20",
            clause="[V2G2-006], [V2G20-2674], [V2G20-2319]",
        )
    suite_of(key)
    return key


def spki_of(key: PublicKey) -> bytes:
    """DER SubjectPublicKeyInfo, EC points uncompressed."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
