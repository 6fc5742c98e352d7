"""A private key in memory as a ``Signer`` or a ``KeyAgreement``.

Signs by ECDSA with the suite's hash, or Ed448; agrees by ECDH or X448. Refuses to sign with X448 and to agree with
Ed448. Shows, copies and pickles no key material. Sources: RFC 5480, RFC 5758, RFC 8410; SP 800-56A, RFC 7748.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric import ec, ed448

from v2gpki.errors import V2GPKIError
from v2gpki.keys.agreement import shared_secret
from v2gpki.keys.suites import PrivateKey, PublicKey, Suite, spki_of, suite_of


class SoftwareSigner:
    """Signs with a key of this process. ``suite`` and ``spki`` (DER SubjectPublicKeyInfo) are its public half."""

    __slots__ = ("_operation", "spki", "suite")

    def __init__(self, private_key: PrivateKey) -> None:
        """Raises ``key.cannot_sign`` for X448 and ``key.unsupported`` for a curve of no suite."""
        self.suite: Suite = suite_of(private_key)
        self._operation: Callable[[bytes], bytes]
        if isinstance(private_key, ec.EllipticCurvePrivateKey) and self.suite.hash is not None:
            # Built once: nothing but the signature itself is left for each call.
            self._operation = partial(private_key.sign, signature_algorithm=ec.ECDSA(self.suite.hash))
        elif isinstance(private_key, ed448.Ed448PrivateKey):
            self._operation = private_key.sign
        else:
            raise V2GPKIError(
                "key.cannot_sign",
                "an X448 key agrees on secrets and cannot sign",
                hint="sign with P-256, P-521 or Ed448; certify an X448 key from its public half (--pubkey)",
                clause="RFC 8410 1, RFC 7748",
            )
        self.spki: bytes = spki_of(private_key.public_key())

    def sign(self, message: bytes) -> bytes:
        """The octets of a signatureValue over ``message``: DER Ecdsa-Sig-Value, or 114 octets of Ed448."""
        return self._operation(message)

    def __repr__(self) -> str:
        return f"SoftwareSigner({self.suite.name}, public key {hashlib.sha256(self.spki).hexdigest()[:16]})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signer holds a private key and is neither copied nor pickled")


class SoftwareAgreement:
    """Agrees with a key of this process. ``suite`` and ``spki`` (DER SubjectPublicKeyInfo) are its public half."""

    __slots__ = ("_private_key", "spki", "suite")

    def __init__(self, private_key: PrivateKey) -> None:
        """Raises ``key.cannot_agree`` for Ed448 and ``key.unsupported`` for a curve of no suite."""
        if isinstance(private_key, ed448.Ed448PrivateKey):
            raise V2GPKIError(
                "key.cannot_agree",
                "an Ed448 key signs and cannot agree on secrets",
                hint="open with the vehicle's P-256, P-521 or X448 key",
                clause="RFC 8032, RFC 7748",
            )
        self.suite: Suite = suite_of(private_key)
        self._private_key = private_key
        self.spki: bytes = spki_of(private_key.public_key())

    def agree(self, peer: PublicKey) -> bytes:
        """The shared secret Z, unhashed and of full width; raises ``key.cannot_agree``."""
        return shared_secret(self._private_key, peer)

    def __repr__(self) -> str:
        return f"SoftwareAgreement({self.suite.name}, public key {hashlib.sha256(self.spki).hexdigest()[:16]})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an agreement holds a private key and is neither copied nor pickled")
