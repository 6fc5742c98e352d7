"""Private key files: writes PKCS#8, plain or encrypted with any number of rounds; reads what others write.

Encrypted keys are EncryptedPrivateKeyInfo with PBES2 (PBKDF2-HMAC-SHA256, AES-256-CBC), assembled here because
``cryptography`` fixes the rounds at 2,048. The form is one constant header with three holes, so a key under a random
secret (one round) is written in about 15 microseconds. Reading takes PEM or DER, PKCS#8 plain or encrypted, and
the traditional EC form (RFC 5915), also encrypted as older OpenSSL scripts do. Refused: RSA, other curves, several
keys in one file, more rounds than take some seconds. Sources: RFC 5208, 5958, 8018 6.2 and A.2, 5915, 7468.
"""

from __future__ import annotations

import binascii
import math
import os
import re
from collections.abc import Callable, Iterator

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x448
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import PrivateKey, kind_of, suite_of, unsupported

#: Rounds for a key under a passphrase that a person chose.
STRONG_ROUNDS = 600_000
#: The most that a file may ask for: some seconds of PBKDF2; for scrypt the product of its cost parameters.
MOST_ROUNDS = 10_000_000
#: Octets; no key file comes near.
LARGEST_FILE = 65536

_SALT_SIZE = 16
_BLOCK = 16
_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_PBKDF2 = bytes.fromhex("06092a864886f70d01050c")
_HMAC_SHA256 = bytes.fromhex("300c06082a864886f70d02090500")
_AES_256_CBC = bytes.fromhex("060960864801650304012a")
_SCRYPT = bytes.fromhex("06092b06010401da47040b")

_BLOCKS = re.compile(rb"-----BEGIN ((?:[A-Z0-9]+ )*PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)
_LABELS = {b"PRIVATE KEY", b"ENCRYPTED PRIVATE KEY", b"EC PRIVATE KEY"}


def encrypt(
    private_key: PrivateKey, secret: bytes, rounds: int, *, random: Callable[[int], bytes] = os.urandom
) -> bytes:
    """PEM ``ENCRYPTED PRIVATE KEY``: the key under ``secret`` (the password's octets), ``rounds`` of PBKDF2.

    One round is enough for a random secret of 256 bits, where guessing is hopeless at any speed; a person's
    passphrase needs ``STRONG_ROUNDS``. Raises ``passphrase.empty``.
    """
    if not secret:
        raise V2GPKIError("passphrase.empty", "an empty passphrase does not protect a private key")
    salt, vector = random(_SALT_SIZE), random(_BLOCK)
    content = private_key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    padding = _BLOCK - len(content) % _BLOCK
    key = PBKDF2HMAC(hashes.SHA256(), 32, salt, rounds).derive(secret)
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(vector)).encryptor()
    octets = encryptor.update(content + bytes((padding,)) * padding) + encryptor.finalize()
    count = rounds.to_bytes(rounds.bit_length() // 8 + 1, "big")
    derivation = _tlv(0x30, _PBKDF2 + _tlv(0x30, _tlv(0x04, salt) + _tlv(0x02, count) + _HMAC_SHA256))
    cipher = _tlv(0x30, _AES_256_CBC + _tlv(0x04, vector))
    scheme = _tlv(0x30, _PBES2 + _tlv(0x30, derivation + cipher))
    return _pem("ENCRYPTED PRIVATE KEY", _tlv(0x30, scheme + _tlv(0x04, octets)))


def plain(private_key: PrivateKey) -> bytes:
    """PEM ``PRIVATE KEY``: PKCS#8 without encryption."""
    return private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load(data: bytes, secret: bytes | None = None) -> PrivateKey:
    """The one private key in ``data``: PEM (with text around it) or DER, PKCS#8 or traditional EC.

    ``secret`` is the password's octets; it is not looked at when the key is not encrypted. Raises
    ``key.needs_passphrase``, ``key.wrong_passphrase``, ``key.malformed``, ``key.unsupported`` and
    ``key.too_many_rounds`` for more than ``MOST_ROUNDS``.
    """
    if len(data) > LARGEST_FILE:
        raise _malformed(f"it is larger than {LARGEST_FILE} octets")
    block, encrypted, is_pem = _from_pem(data) if b"-----BEGIN" in data else _from_der(data)
    if encrypted and not secret:
        raise V2GPKIError(
            "key.needs_passphrase",
            "the private key is encrypted, and no passphrase was given",
            hint="give the passphrase that the key was written with",
        )
    if encrypted and not is_pem and (rounds := _rounds(block)) > MOST_ROUNDS:
        raise _too_many(rounds)
    read = serialization.load_pem_private_key if is_pem else serialization.load_der_private_key
    try:
        key = read(block, secret if encrypted else None)
    except UnsupportedAlgorithm as problem:
        raise unsupported("a private key of an unknown algorithm, curve or encryption") from problem
    except (ValueError, TypeError) as problem:
        # With a good outer form, what fails is the padding or the form of the decrypted octets.
        raise (_wrong_passphrase() if encrypted else _malformed("its content is no private key")) from problem
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey | x448.X448PrivateKey):
        raise unsupported(kind_of(key))
    suite_of(key)
    return key


def _from_pem(data: bytes) -> tuple[bytes, bool, bool]:
    """(the PEM block or its DER, whether it is encrypted, whether it is still PEM)."""
    blocks = list(_BLOCKS.finditer(data))
    if not blocks:
        raise _malformed("there is no complete PRIVATE KEY block in the PEM text")
    if len(blocks) > 1:
        raise _malformed(f"it holds {len(blocks)} private keys; give one")
    label, body = blocks[0][1], blocks[0][2]
    if label not in _LABELS:
        raise unsupported(f"a PEM block {label.decode('ascii')!r}")
    if b"Proc-Type:" in body:
        return blocks[0][0] + b"\n", True, True
    try:
        der = binascii.a2b_base64(b"".join(body.split()), strict_mode=True)
    except binascii.Error as problem:
        raise _malformed("the PEM block is no base64") from problem
    return _from_der(der)


def _from_der(der: bytes) -> tuple[bytes, bool, bool]:
    """The same for DER: EncryptedPrivateKeyInfo starts with a SEQUENCE, every plain form with a version."""
    start = _content_start(der)
    if start is None or der[start] not in {0x30, 0x02}:
        raise _malformed("it is neither PEM nor one complete DER value")
    return der, der[start] == 0x30, False


def _content_start(der: bytes) -> int | None:
    """Where the content of a SEQUENCE that fills ``der`` exactly starts; None when it is not that."""
    if len(der) < 4 or der[0] != 0x30:
        return None
    if der[1] < 0x80:
        return 2 if len(der) == 2 + der[1] else None
    start = 2 + (der[1] & 0x7F)
    return start if start < len(der) == start + int.from_bytes(der[2:start], "big") else None


def _rounds(der: bytes) -> int:
    """The work that an EncryptedPrivateKeyInfo asks for, 0 where its form says nothing: the reader judges that.

    In every scheme (PBES1, PBES2 with PBKDF2) the first INTEGER is the count; scrypt has N, r and p (RFC 7914 7.1).
    """
    start = _content_start(der)
    if start is None or (scheme := _value(der, start)) is None:
        return 0
    numbers = list(_integers(der[scheme.start : scheme.stop]))
    if _SCRYPT in der[scheme.start : scheme.stop]:
        return math.prod(numbers[:3])
    return numbers[0] if numbers else 0


def _integers(content: bytes, depth: int = 5) -> Iterator[int]:
    """The INTEGERs of a content in their order, those of inner SEQUENCEs too; ends where the form breaks.

    No scheme that is read has them deeper than four SEQUENCEs.
    """
    position = 0
    while position < len(content) and (value := _value(content, position)) is not None:
        if content[position] == 0x30 and depth:
            yield from _integers(content[value.start : value.stop], depth - 1)
        elif content[position] == 0x02:
            yield int.from_bytes(content[value.start : value.stop], "big", signed=True)
        position = value.stop


def _value(der: bytes, position: int) -> range | None:
    """Where the content of the value at ``position`` stands; None when it is not whole."""
    start = position + 2
    if start > len(der):
        return None
    size = der[position + 1]
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(der[position + 2 : start], "big")
    return range(start, start + size) if start + size <= len(der) else None


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def _pem(label: str, der: bytes) -> bytes:
    text = binascii.b2a_base64(der, newline=False).decode("ascii")
    lines = [text[index : index + 64] for index in range(0, len(text), 64)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", "")).encode("ascii")


def _malformed(why: str) -> V2GPKIError:
    return V2GPKIError(
        "key.malformed",
        f"the private key cannot be read: {why}",
        hint="give PKCS#8 or the traditional EC form, PEM or DER (openssl pkey -in FILE rewrites others)",
        clause="RFC 5958, RFC 5915",
    )


def _too_many(rounds: int) -> V2GPKIError:
    asked = f"{rounds} rounds" if rounds < 1 << 64 else f"rounds in a number of {rounds.bit_length()} bits"
    return V2GPKIError(
        "key.too_many_rounds",
        f"the private key asks for {asked} of key derivation; {MOST_ROUNDS} are the most that is done",
        hint="if you trust the file: openssl pkey -in FILE -out NEW -aes256 writes it anew with fewer",
        clause="RFC 8018 4.2, A.2",
        facts={"rounds": asked, "most": MOST_ROUNDS},
    )


def _wrong_passphrase() -> V2GPKIError:
    return V2GPKIError(
        "key.wrong_passphrase",
        "the private key cannot be decrypted: the passphrase is wrong, or the file is damaged",
        hint="give the passphrase that the key was written with",
    )
