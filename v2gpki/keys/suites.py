"""The key suites of Plug & Charge: curve, signature algorithm and their DER forms.

``p256`` (ECDSA with SHA-256, ISO 15118-2), ``p521`` (ECDSA with SHA-512) and ``ed448`` (RFC 8410)
for ISO 15118-20, ``x448`` for keys that agree but cannot sign. RSA and every other curve are refused.
Sources: RFC 5480, RFC 5758, RFC 8410.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x448

from v2gpki.errors import V2GPKIError

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey | x448.X448PrivateKey
PublicKey: TypeAlias = ec.EllipticCurvePublicKey | ed448.Ed448PublicKey | x448.X448PublicKey

_UNCOMPRESSED = b"\x04"
#: The field and the constant of Ed448 (RFC 8032 5.2); X448 has the same field (RFC 7748 4.2).
_P448 = 2**448 - 2**224 - 1
_D448 = -39081


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

_ELLIPTIC = (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)
_BY_CURVE = {suite.curve.name: suite for suite in SUITES.values() if suite.curve is not None}


#: What stands between private number and point in the PKCS#8 export of an EC key: [1], BIT STRING, no unused bits.
_BETWEEN = {"p256": bytes.fromhex("a144034200"), "p521": bytes.fromhex("a1818903818600")}
_PLAIN_PKCS8 = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
_PLAIN = tuple(
    (suite, suite.spki_prefix + _UNCOMPRESSED) for suite in SUITES.values() if suite.curve is not None
)


def suite_of(key: PublicKey | PrivateKey) -> Suite:
    """The suite of a key; a curve outside the table raises ``key.unsupported``."""
    if isinstance(key, _ELLIPTIC):
        name = key.curve.name
        found = _BY_CURVE.get(name)
        if found is None:
            raise unsupported(f"a key on the curve {name}")
        return found
    if isinstance(key, ed448.Ed448PublicKey | ed448.Ed448PrivateKey):
        return SUITES["ed448"]
    return SUITES["x448"]


def suite_of_spki(spki: bytes) -> Suite:
    """The suite of a DER SubjectPublicKeyInfo that is to be certified as it stands, by its form alone: no point check.

    Raises ``key.point_form`` for a compressed EC point, which the V2G messages cannot carry
    (``load_public_key`` reads it, ``spki_of`` writes it uncompressed), else what ``load_public_key`` raises.
    """
    usual = _of_usual_form(spki)
    if usual is not None:
        return usual
    found = suite_of(load_public_key(spki))
    raise V2GPKIError(
        "key.point_form",
        f"the {found.name} public key holds a compressed point",
        hint="write it uncompressed: openssl ec -pubin -conv_form uncompressed",
        clause="RFC 5480 2.2",
        facts={"suite": found.name},
    )


def plain_suite(spki: bytes) -> Suite | None:
    """The suite of a DER SubjectPublicKeyInfo of an EC key in its one form here: named curve, point uncompressed, each
    octet but the coordinates fixed. None for any other. Whether the point is on its curve is not looked at."""
    for suite, start in _PLAIN:
        if len(spki) == len(start) + suite.point_size - 1 and spki.startswith(start):
            return suite
    return None


def _of_usual_form(spki: bytes) -> Suite | None:
    """The suite of a key whose octets are those that ``spki_of`` writes, but for the coordinates of its point."""
    for suite in SUITES.values():
        start = suite.spki_prefix if suite.curve is None else suite.spki_prefix + _UNCOMPRESSED
        if len(spki) == len(suite.spki_prefix) + suite.point_size and spki.startswith(start):
            return suite
    return None


def family_of(spki: bytes) -> Suite | None:
    """The suite whose SubjectPublicKeyInfo (DER) begins so, whatever its point; None when it is none of ISO 15118."""
    return next((suite for suite in SUITES.values() if spki.startswith(suite.spki_prefix)), None)


@lru_cache(maxsize=1024)
def load_public_key(spki: bytes) -> PublicKey:
    """Parse a DER SubjectPublicKeyInfo with a named curve, its EC point uncompressed or compressed.

    Raises ``key.unsupported`` for RSA and other curves, ``key.malformed`` for what is no DER, for explicit curve
    parameters (RFC 5480 2.1.1), hybrid points, the point at infinity, points that are not on their curve, and X448
    points of small order (RFC 7748 6.2), with which every key agrees on the same secret.
    """
    try:
        key = serialization.load_der_public_key(spki)
    except UnsupportedAlgorithm as problem:
        raise unsupported("a public key of an unknown algorithm or curve") from problem
    except ValueError as problem:
        raise _malformed("no valid SubjectPublicKeyInfo, or a point that is not on its curve") from problem
    if not isinstance(key, ec.EllipticCurvePublicKey | ed448.Ed448PublicKey | x448.X448PublicKey):
        raise unsupported(kind_of(key))
    suite_of(key)
    if _of_usual_form(spki) is not None and isinstance(key, ec.EllipticCurvePublicKey):
        return key
    if spki_of(key) != spki and not (isinstance(key, ec.EllipticCurvePublicKey) and spki == _compressed(key)):
        raise _malformed("explicit curve parameters, a hybrid point, or not the shortest encoding")
    if isinstance(key, ed448.Ed448PublicKey) and not _is_ed448_point(key.public_bytes_raw()):
        raise _malformed("the octets are no point of Ed448, or one of small order")
    if isinstance(key, x448.X448PublicKey):
        coordinate = int.from_bytes(key.public_bytes_raw(), "little")
        if coordinate in {0, 1} or coordinate >= _P448 - 1:
            raise _malformed("the X448 point has a small order or is no field element")
    return key


def spki_of(key: PublicKey) -> bytes:
    """DER SubjectPublicKeyInfo, EC points uncompressed."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def halves_of(key: ec.EllipticCurvePrivateKey) -> tuple[bytes, bytes]:
    """The private number of an EC key, as wide as the curve's order, and its DER SubjectPublicKeyInfo.

    Both stand in one PKCS#8 export (RFC 5915): asked for one by one, the library computes the point anew each time.
    """
    suite = suite_of(key)
    between = _BETWEEN.get(suite.name)
    if between is not None:
        size = suite.point_size // 2
        octets = key.private_bytes(*_PLAIN_PKCS8)
        point = len(octets) - suite.point_size
        number = point - len(between) - size
        marked = octets[number - 2 : number] == bytes((4, size)) and octets[number + size : point] == between
        if marked and octets[point : point + 1] == _UNCOMPRESSED:
            return octets[number : number + size], suite.spki_prefix + octets[point:]
    return _number_of(key), spki_of(key.public_key())


def _number_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8, "big")


def kind_of(key: object) -> str:
    """How a key that is none of ours is named in an error: ``an RSA key``."""
    name = type(key).__name__.lstrip("_").removesuffix("PublicKey").removesuffix("PrivateKey")
    return f"{'an' if name[:1] in 'AEIORX' else 'a'} {name} key"


def unsupported(found: str) -> V2GPKIError:
    """The refusal of a key that no edition uses; ``found`` says which (``an RSA key``)."""
    return V2GPKIError(
        "key.unsupported",
        f"{found} is not used in ISO 15118",
        hint="use P-256 for ISO 15118-2; P-521, Ed448 or X448 for ISO 15118-20",
        clause="[V2G2-006], [V2G2-007], [V2G20-2674], [V2G20-2319]",
        facts={"found": found},
    )


def _malformed(why: str) -> V2GPKIError:
    return V2GPKIError(
        "key.malformed",
        f"the public key cannot be used: {why}",
        hint="give a SubjectPublicKeyInfo with a named curve (openssl pkey -pubout)",
        clause="RFC 5280 4.1.2.7, RFC 5480 2, RFC 8410 4",
    )


def _compressed(key: ec.EllipticCurvePublicKey) -> bytes:
    """SubjectPublicKeyInfo with the compressed point: the same header with shorter lengths."""
    point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    prefix = suite_of(key).spki_prefix
    algorithm = prefix[prefix.index(b"\x30", 1) :]
    algorithm = algorithm[: 2 + algorithm[1]]
    content = algorithm + bytes((0x03, len(point) + 1, 0)) + point
    return bytes((0x30, len(content))) + content


def _is_ed448_point(octets: bytes) -> bool:
    """Whether 57 octets decode to a curve point that is good for a key (RFC 8032 5.2.3).

    x^2 = (y^2 - 1) / (d y^2 - 1) must have a root. A point of small order would let anybody sign.
    """
    y = int.from_bytes(octets[:56], "little")
    if y >= _P448 or octets[56] & 0x7F:
        return False
    numerator, denominator = (y * y - 1) % _P448, (_D448 * y * y - 1) % _P448
    square = numerator * pow(denominator, -1, _P448) % _P448
    small_order = y in {0, 1, _P448 - 1}  # the points (1, 0), (-1, 0), (0, 1) and (0, -1)
    return not small_order and pow(square, (_P448 - 1) // 2, _P448) == 1
