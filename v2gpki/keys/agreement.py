"""What opening a contract needs of a private key, wherever it lives: the ``KeyAgreement`` protocol.

``shared_secret`` is the arithmetic behind it for keys in memory. Refuses keys of two suites, keys that sign only, and
a peer with which everybody agrees on the same secret. Sources: SP 800-56A 5.7.1.2, RFC 7748 6.2.
"""

from __future__ import annotations

from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec, x448

from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import PrivateKey, PublicKey, Suite, suite_of

_ECDH = ec.ECDH()


class KeyAgreement(Protocol):
    """A private key that agrees on secrets and never leaves its place."""

    @property
    def suite(self) -> Suite:
        """The key's suite: p256, p521 or x448."""
        ...

    @property
    def spki(self) -> bytes:
        """The public half as DER SubjectPublicKeyInfo."""
        ...

    def agree(self, peer: PublicKey) -> bytes:
        """The shared secret Z with ``peer``: see ``shared_secret``."""
        ...


def shared_secret(private_key: PrivateKey, peer: PublicKey) -> bytes:
    """Z, unhashed: the x-coordinate as wide as the field (P-256 32 octets, P-521 66), or the 56 octets of X448.

    Raises ``key.cannot_agree`` for keys of different suites, for Ed448, and for an X448 peer of small order, which
    makes the secret zero.
    """
    try:
        if isinstance(private_key, ec.EllipticCurvePrivateKey) and isinstance(peer, ec.EllipticCurvePublicKey):
            return private_key.exchange(_ECDH, peer)
        if isinstance(private_key, x448.X448PrivateKey) and isinstance(peer, x448.X448PublicKey):
            return private_key.exchange(peer)
    except ValueError as problem:
        raise _cannot_agree(private_key, peer) from problem
    raise _cannot_agree(private_key, peer)


def _cannot_agree(private_key: PrivateKey, peer: PublicKey) -> V2GPKIError:
    own, other = suite_of(private_key), suite_of(peer)
    if own is other and own.name == "x448":
        message, hint = "the X448 peer has a small order: the secret would be zero", "take a freshly made X448 key"
    elif own is other:
        message, hint = f"two {own.name} keys sign and cannot agree", "agree with P-256, P-521 or X448"
    else:
        message, hint = f"{own.name} and {other.name} keys do not agree", "both keys are P-256, P-521 or X448"
    return V2GPKIError(
        "key.cannot_agree",
        message,
        hint=hint,
        clause="SP 800-56A 5.7.1.2, RFC 7748 6.2",
        facts={"suite": own.name, "peer": other.name},
    )
