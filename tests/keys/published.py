"""The published keys of ``vectors/published.toml`` as private key objects, built from their numbers."""

from __future__ import annotations

import tomllib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed448, x448

from v2gpki.keys.suites import PrivateKey

VALUES = tomllib.loads((Path(__file__).parent / "vectors" / "published.toml").read_text("utf-8"))


def octets(suite: str, name: str) -> bytes:
    """One value of a suite's vector."""
    return bytes.fromhex("".join(VALUES[suite][name].split()))


KEYS: dict[str, PrivateKey] = {
    "p256": ec.derive_private_key(int.from_bytes(octets("p256", "private"), "big"), ec.SECP256R1()),
    "p521": ec.derive_private_key(int.from_bytes(octets("p521", "private"), "big"), ec.SECP521R1()),
    "ed448": ed448.Ed448PrivateKey.from_private_bytes(octets("ed448", "private")),
    "x448": x448.X448PrivateKey.from_private_bytes(octets("x448", "private")),
}


def point(suite: str) -> bytes:
    """The published public key in the octets that a certificate carries."""
    if suite in {"p256", "p521"}:
        return b"\x04" + octets(suite, "public_x") + octets(suite, "public_y")
    return octets(suite, "public")
