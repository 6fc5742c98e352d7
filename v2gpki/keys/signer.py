"""What issuing needs of a private key, wherever it lives: the ``Signer`` protocol."""

from __future__ import annotations

from typing import Protocol

from v2gpki.keys.suites import Suite


class Signer(Protocol):
    """A private key that signs and never leaves its place."""

    @property
    def suite(self) -> Suite:
        """The key's suite, which fixes the signature algorithm."""
        ...

    @property
    def spki(self) -> bytes:
        """The public half as DER SubjectPublicKeyInfo."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Sign ``message`` (not pre-hashed); returns the octets of an X.509 signatureValue:
        DER Ecdsa-Sig-Value, or the 114 raw octets of Ed448."""
        ...
