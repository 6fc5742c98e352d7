"""Sizes, the key derivation, and that Sealed takes nothing else.

The pins of the key derivation are made by hashlib over octets that are written out here.
"""

from __future__ import annotations

import hashlib

import pytest

from tests.pnc.envelope.samples import N256, N521
from v2gpki.errors import V2GPKIError
from v2gpki.pnc.envelope import LAYOUTS, TPM_SIZES, Curve, Sealed, derive_key

#: DHPublicKey and encrypted key by curve: the schemas of the messages, and [V2G20-2495] for the bare X448 point.
SIZES = {"P256": ((65,), 48), "SECP521": ((133,), 94), "X448": ((56, 133), 84), "TPM": ((133,), 206)}


def test_key_derivation_of_iso2() -> None:
    """hash(00000001, Z, 01, 55, 56), first 16 octets; not ANSI X9.63's order, not without the other information."""
    z = bytes(range(32))
    written_out = "00000001" + "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" + "015556"
    key = derive_key("P256", z)
    assert key == hashlib.sha256(bytes.fromhex(written_out)).digest()[:16]
    assert key.hex() == "477b6018ced06f1febd5e7f86763b45d"
    assert key != hashlib.sha256(z + bytes.fromhex("00000001")).digest()[:16]
    assert hashlib.sha256(z + bytes.fromhex("00000001")).hexdigest()[:32] == "04a6950a06d3e3308ad7d3606ef810eb"


def test_key_derivation_of_iso20() -> None:
    z = bytes(range(66))
    key = derive_key("SECP521", z)
    assert key == hashlib.sha512(bytes.fromhex("00000001") + z + bytes.fromhex("015556")).digest()[:32]
    assert key.hex() == "2d11b6904bd3f7e7dfbd351c591e497709d93720bd0c68faea30dd21e873183e"
    z = bytes(range(56))
    assert derive_key("X448", z) == hashlib.sha512(b"\0\0\0\1" + z + b"\1UV").digest()[:32]


@pytest.mark.parametrize(("curve", "size"), [("P256", 31), ("P256", 33), ("SECP521", 65), ("X448", 57), ("X448", 0)])
def test_a_secret_of_another_width_is_refused(curve: str, size: int) -> None:
    with pytest.raises(V2GPKIError) as caught:
        derive_key(curve, bytes(size))
    assert caught.value.code == "envelope.wrong_size"
    assert caught.value.facts["found"] == size


def test_the_orders() -> None:
    assert (LAYOUTS["P256"].order, LAYOUTS["SECP521"].order, LAYOUTS["X448"].order) == (N256, N521, 0)


@pytest.mark.parametrize("curve", SIZES)
def test_sealed_takes_the_sizes_of_the_messages(curve: Curve) -> None:
    points, encrypted = SIZES[curve]
    for point in range(140):
        if point in points:
            Sealed(curve, bytes(point), bytes(encrypted))
        else:
            with pytest.raises(V2GPKIError) as caught:
                Sealed(curve, bytes(point), bytes(encrypted))
            assert caught.value.code == "envelope.wrong_size"
            assert "DH public key" in caught.value.message
    for size in set(range(220)) - {encrypted}:
        with pytest.raises(V2GPKIError) as caught:
            Sealed(curve, bytes(points[0]), bytes(size))
        assert caught.value.code == "envelope.wrong_size"
        assert str(size) in caught.value.message
    assert TPM_SIZES == (133, 206)


def test_an_unknown_curve_is_refused() -> None:
    with pytest.raises(V2GPKIError) as caught:
        Sealed("P384", bytes(65), bytes(48))  # type: ignore[arg-type]  # what a reader of messages could pass
    assert caught.value.code == "envelope.wrong_curve"
    with pytest.raises(V2GPKIError) as caught:
        derive_key("SECP256", bytes(32))
    assert caught.value.code == "envelope.wrong_curve"


def test_a_tpm_envelope_is_carried_and_nothing_else() -> None:
    sealed = Sealed("TPM", bytes(133), bytes(206))
    assert sealed.encrypted_key == bytes(206)
    with pytest.raises(V2GPKIError) as caught:
        derive_key("TPM", bytes(66))
    assert caught.value.code == "envelope.tpm_opaque"
