"""Keys, contract certificates, and envelopes made and opened by a second hand: hashlib and the ciphers, written out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x448
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from v2gpki.keys.suites import PrivateKey, PublicKey
from v2gpki.pnc.envelope import Curve, Sealed

#: Field primes and orders (SEC 2 2.4.2, 2.6.1; RFC 7748 4.2), written out anew.
P256 = 2**256 - 2**224 + 2**192 + 2**96 - 1
P521 = 2**521 - 1
P448 = 2**448 - 2**224 - 1
N256 = 115792089210356248762697446949407573529996955224135760342422259061068512044369
N521 = (
    6864797660130609714981900799081393217269435300143305409394463459185543183397655394245057746333217197532963996371363321113864768612440380340372808892707005449
)
ORDERS = {"P256": N256, "SECP521": N521}
CURVES: dict[str, ec.EllipticCurve] = {"P256": ec.SECP256R1(), "SECP521": ec.SECP521R1()}
#: Octets of a scalar.
WIDTHS = {"P256": 32, "SECP521": 66, "X448": 56}
IV = {"P256": bytes(range(0xA0, 0xB0)), "SECP521": bytes(range(0xC0, 0xCC)), "X448": bytes(range(0xC0, 0xCC))}
AAD = b"WP0123456789ABCDEX4F3E2D1C0B0A0908"
EC_CURVES: list[Curve] = ["P256", "SECP521"]
ALL_CURVES: list[Curve] = ["P256", "SECP521", "X448"]


def key(curve: str, number: int) -> PrivateKey:
    """The private key of a number; for X448 the number spread over its octets."""
    if curve == "X448":
        return x448.X448PrivateKey.from_private_bytes(hashlib.shake_256(number.to_bytes(4, "big")).digest(56))
    return ec.derive_private_key(number, CURVES[curve])


def scalar(number: int, curve: str) -> int:
    """A number that fills the scalar's width, for a name."""
    return int.from_bytes(hashlib.shake_256(number.to_bytes(4, "big")).digest(66), "big") % ORDERS[curve]


@cache
def contract_key(curve: str) -> PrivateKey:
    return key(curve, 1 if curve == "X448" else scalar(1, curve))


@cache
def vehicle_key(curve: str) -> PrivateKey:
    return key(curve, 2 if curve == "X448" else scalar(2, curve))


@cache
def sender_key(curve: str) -> PrivateKey:
    return key(curve, 3 if curve == "X448" else scalar(3, curve))


def other_key(curve: str) -> PrivateKey:
    return key(curve, 4 if curve == "X448" else scalar(4, curve))


def certificate(public_key: PublicKey, *, ski: bytes | None = bytes(range(8))) -> bytes:
    """A contract certificate as DER that carries the key, by an issuer that does not matter here."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "DEABCC12345678")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(0x4001)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2028, 1, 1, tzinfo=UTC))
    )
    if ski is not None:
        builder = builder.add_extension(x509.SubjectKeyIdentifier(ski), critical=False)
    return builder.sign(ec.derive_private_key(77, ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


@cache
def contract(curve: str) -> bytes:
    """The certificate of `contract_key`."""
    return certificate(contract_key(curve).public_key())


def octets_of(public_key: PublicKey) -> bytes:
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return public_key.public_bytes_raw()


@dataclass(frozen=True)
class ByHand:
    """The second hand: what the standard's table says, step by step."""

    curve: Curve

    def secret(self, own: PrivateKey, other: PublicKey) -> bytes:
        if isinstance(own, ec.EllipticCurvePrivateKey):
            assert isinstance(other, ec.EllipticCurvePublicKey)
            return own.exchange(ec.ECDH(), other)
        assert isinstance(own, x448.X448PrivateKey)
        assert isinstance(other, x448.X448PublicKey)
        return own.exchange(other)

    def derive(self, z: bytes) -> bytes:
        data = bytes.fromhex("00000001") + z + bytes.fromhex("015556")
        return hashlib.sha256(data).digest()[:16] if self.curve == "P256" else hashlib.sha512(data).digest()[:32]

    def encrypt(self, content: bytes, aad: bytes, *, receiver: PublicKey | None = None) -> Sealed:
        """An envelope around any octets of the right number, with `sender_key` and the fixed IV."""
        own, iv = sender_key(self.curve), IV[self.curve]
        secret = self.derive(self.secret(own, receiver or vehicle_key(self.curve).public_key()))
        if self.curve == "P256":
            octets = Cipher(algorithms.AES(secret), modes.CBC(iv)).encryptor().update(content)
        else:
            octets = AESGCM(secret).encrypt(iv, content, aad)
        return Sealed(self.curve, octets_of(own.public_key()), iv + octets)

    def decrypt(self, sealed: Sealed, receiver: PrivateKey, aad: bytes) -> bytes:
        if self.curve == "X448":
            point: PublicKey = x448.X448PublicKey.from_public_bytes(sealed.dh_public_key[:56])
        else:
            point = ec.EllipticCurvePublicKey.from_encoded_point(CURVES[self.curve], sealed.dh_public_key)
        secret = self.derive(self.secret(receiver, point))
        if self.curve == "P256":
            iv, octets = sealed.encrypted_key[:16], sealed.encrypted_key[16:]
            return Cipher(algorithms.AES(secret), modes.CBC(iv)).decryptor().update(octets)
        return AESGCM(secret).decrypt(sealed.encrypted_key[:12], sealed.encrypted_key[12:], aad)


def aad_for(curve: str) -> bytes:
    return b"" if curve == "P256" else AAD


def content_of(private_key: PrivateKey, curve: str) -> bytes:
    """The octets that an envelope carries."""
    if isinstance(private_key, ec.EllipticCurvePrivateKey):
        return private_key.private_numbers().private_value.to_bytes(WIDTHS[curve], "big")
    return private_key.private_bytes_raw()


def first(numbers: range, wanted: Callable[[int], bool]) -> int:
    """The first number that is wanted."""
    return next(number for number in numbers if wanted(number))
