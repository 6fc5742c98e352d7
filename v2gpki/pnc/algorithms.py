"""Algorithms of message signatures: their URIs, digests, and the octets of a SignatureValue.

ISO 15118-2 knows one: ECDSA on P-256 with SHA-256. ISO 15118-20 has ECDSA on P-521 with SHA-512 ([V2G20-2473],
[V2G20-2475]) and pure Ed448, for which sources disagree on URIs and digest; both forms are named here, and a verifier
takes either: `ed448-shake256` (URNs of [V2G20-2474], [V2G20-2476]; SHAKE256, 64 octets), with which we sign and EVerest
agrees, and `ed448-sha512` (RFC 9231 URI, SHA-512). `lab-ecog-20` is what EcoG's stack does in -20: the algorithm of
-2; no conformant device takes it.

ECDSA values are raw r||s, each as wide as the curve's order ([V2G20-1000]). Refuses DER in a message and anything but
strict DER from a signer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import PublicKey

CANONICAL_EXI = "http://www.w3.org/TR/canonical-exi/"

Edition: TypeAlias = Literal["iso15118-2", "iso15118-20", "lab-ecog-20"]
EDITIONS: tuple[Edition, ...] = ("iso15118-2", "iso15118-20", "lab-ecog-20")

_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_SHA512 = "http://www.w3.org/2001/04/xmlenc#sha512"
_SHAKE256 = "urn:iso:std:iso:15118:-20:Security:xmlenc#SHAKE256"
_ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
_ECDSA_SHA512 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"
_ED448_RFC9231 = "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed448"
_ED448_ISO = "urn:iso:std:iso:15118:-20:Security:xmldsig#Ed448"

#: Digest functions by the URI of their DigestMethod.
DIGESTS: Mapping[str, Callable[[bytes], bytes]] = {
    _SHA256: lambda data: hashlib.sha256(data).digest(),
    _SHA512: lambda data: hashlib.sha512(data).digest(),
    _SHAKE256: lambda data: hashlib.shake_256(data).digest(64),
}


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A way to sign.

    `suite` is the key's (`v2gpki.keys.suites`), `order` that of its curve (0: Ed448), `size` the octets of the value,
    `digest_methods` every digest that a verifier takes with it, `digest_method` the one that a signer uses.
    """

    name: str
    suite: str
    signature_method: str
    digest_method: str
    digest_methods: tuple[str, ...]
    size: int
    order: int = 0


#: Orders of the curves (SEC 2, 2.4.2 and 2.6.1).
_N256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_N521 = (1 << 521) - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7

ECDSA_P256_SHA256 = Algorithm("ecdsa-p256-sha256", "p256", _ECDSA_SHA256, _SHA256, (_SHA256,), 64, _N256)
ECDSA_P521_SHA512 = Algorithm("ecdsa-p521-sha512", "p521", _ECDSA_SHA512, _SHA512, (_SHA512,), 132, _N521)
ED448_SHA512 = Algorithm("ed448-sha512", "ed448", _ED448_RFC9231, _SHA512, (_SHA512, _SHAKE256), 114)
ED448_SHAKE256 = Algorithm("ed448-shake256", "ed448", _ED448_ISO, _SHAKE256, (_SHAKE256, _SHA512), 114)

#: What each edition may use; of several for one suite the first is the default.
ALGORITHMS: Mapping[Edition, tuple[Algorithm, ...]] = {
    "iso15118-2": (ECDSA_P256_SHA256,),
    "iso15118-20": (ECDSA_P521_SHA512, ED448_SHAKE256, ED448_SHA512),
    "lab-ecog-20": (ECDSA_P256_SHA256,),
}
_BY_NAME: Mapping[str, Algorithm] = {
    algorithm.name: algorithm for algorithms in ALGORITHMS.values() for algorithm in algorithms
}


def algorithm_for(edition: Edition, suite: str, name: str = "") -> Algorithm:
    """The algorithm that a key of this suite signs with; `name` chooses among several.

    Raises `signature.wrong_algorithm` for an unknown name, and `signature.wrong_key` for a suite that the edition
    does not use.
    """
    if name and name not in _BY_NAME:
        raise V2GPKIError(
            "signature.wrong_algorithm",
            f"there is no signature algorithm {name!r}",
            hint="known are " + ", ".join(sorted(_BY_NAME)),
            facts={"algorithm": name},
        )
    candidates = ALGORITHMS[edition]
    fitting = [candidate for candidate in candidates if candidate.suite == suite and name in {"", candidate.name}]
    if fitting:
        return fitting[0]
    wanted = [candidate for candidate in candidates if name in {"", candidate.name}]
    if not wanted:
        raise V2GPKIError(
            "signature.wrong_algorithm",
            f"{edition} does not sign with {name}",
            hint="use " + " or ".join(candidate.name for candidate in candidates) + _lab_hint(name),
            clause=clause_of(edition),
            facts={"algorithm": name, "edition": edition},
        )
    raise V2GPKIError(
        "signature.wrong_key",
        f"a {suite} key does not sign {edition} messages{f' by {name}' if name else ''}",
        hint="use a key of the suite " + " or ".join(dict.fromkeys(candidate.suite for candidate in wanted)),
        clause=clause_of(edition),
        facts={"suite": suite, "edition": edition},
    )


def clause_of(edition: Edition) -> str:
    """Where the edition says which algorithms it uses."""
    return "ISO 15118-2 7.9.2.4" if edition == "iso15118-2" else "[V2G20-2473] to [V2G20-2476]"


def _lab_hint(name: str) -> str:
    return "; for EcoG's stack name the edition lab-ecog-20" if name == ECDSA_P256_SHA256.name else ""


def raw_from_signer(signature: bytes, algorithm: Algorithm) -> bytes:
    """The octets of a SignatureValue from those that a `Signer` returns: r||s from DER, Ed448 unchanged.

    Raises `signature.bad_signer` when they are no strict DER Ecdsa-Sig-Value within the order, or of a wrong length.
    """
    if not algorithm.order:
        if len(signature) != algorithm.size:
            raise _bad_signer(f"{len(signature)} octets instead of the {algorithm.size} of {algorithm.name}")
        return signature
    numbers = der_numbers(signature)
    if numbers is None:
        raise _bad_signer("no DER Ecdsa-Sig-Value")
    if not all(1 <= number < algorithm.order for number in numbers):
        raise _bad_signer("r or s outside the order of the curve")
    width = algorithm.size // 2
    return b"".join(number.to_bytes(width, "big") for number in numbers)


def der_numbers(signature: bytes) -> tuple[int, int] | None:
    """r and s of a DER Ecdsa-Sig-Value; None if the octets are anything else, another encoding of numbers included."""
    try:
        numbers = decode_dss_signature(signature)
    except ValueError:
        return None
    if min(numbers) < 0 or encode_dss_signature(*numbers) != signature:
        return None
    return numbers


def in_range(algorithm: Algorithm, value: bytes) -> bool:
    """Whether a SignatureValue has the width of its algorithm, and r and s are above 0 and below the order."""
    if len(value) != algorithm.size:
        return False
    width = algorithm.size // 2
    numbers = int.from_bytes(value[:width], "big"), int.from_bytes(value[width:], "big")
    return not algorithm.order or (min(numbers) > 0 and max(numbers) < algorithm.order)


def value_holds(key: PublicKey, algorithm: Algorithm, value: bytes, data: bytes) -> bool:
    """Whether `value`, of the algorithm's form and range, is the key's signature over `data`. Decides nothing else."""
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            width = algorithm.size // 2
            numbers = int.from_bytes(value[:width], "big"), int.from_bytes(value[width:], "big")
            digest = hashes.SHA256() if algorithm.signature_method == _ECDSA_SHA256 else hashes.SHA512()
            key.verify(encode_dss_signature(*numbers), data, ec.ECDSA(digest))
        elif isinstance(key, ed448.Ed448PublicKey):
            key.verify(value, data)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _bad_signer(why: str) -> V2GPKIError:
    return V2GPKIError(
        "signature.bad_signer",
        f"the signer returned {why}",
        hint="a Signer returns the octets of an X.509 signatureValue: DER for ECDSA, 114 octets for Ed448",
        clause="RFC 5480, RFC 8032 5.2.6",
    )
