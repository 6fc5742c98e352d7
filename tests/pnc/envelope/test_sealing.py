"""Envelopes that we make, opened by hashlib and the bare ciphers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x448

from tests.pnc.envelope.samples import (
    ALL_CURVES,
    EC_CURVES,
    IV,
    WIDTHS,
    ByHand,
    aad_for,
    certificate,
    content_of,
    contract,
    contract_key,
    first,
    key,
    octets_of,
    sender_key,
    vehicle_key,
)
from v2gpki.errors import V2GPKIError
from v2gpki.keys.software import SoftwareAgreement
from v2gpki.keys.suites import SUITES, PrivateKey, PublicKey, suite_of
from v2gpki.pnc.envelope import Curve, lab_ed448_key, seal, seal_number
from v2gpki.pnc.envelope.opening import unseal


@pytest.mark.parametrize("curve", ALL_CURVES)
def test_what_we_seal_opens_by_hand(curve: Curve) -> None:
    aad = aad_for(curve)
    sealed = seal(contract_key(curve), vehicle_key(curve).public_key(), curve=curve, aad=aad)
    assert ByHand(curve).decrypt(sealed, vehicle_key(curve), aad) == content_of(contract_key(curve), curve)


@pytest.mark.parametrize("curve", ALL_CURVES)
def test_with_the_same_ephemeral_key_and_iv_both_hands_make_the_same_octets(curve: Curve) -> None:
    aad = aad_for(curve)
    made = seal(
        contract_key(curve),
        vehicle_key(curve).public_key(),
        curve=curve,
        aad=aad,
        ephemeral=sender_key(curve),
        iv=IV[curve],
    )
    assert made == ByHand(curve).encrypt(content_of(contract_key(curve), curve), aad)


@pytest.mark.parametrize("curve", ALL_CURVES)
def test_nothing_is_used_twice(curve: Curve) -> None:
    made = [seal(contract_key(curve), vehicle_key(curve).public_key(), curve=curve) for _ in range(4)]
    size = len(IV[curve])
    assert len({sealed.dh_public_key for sealed in made}) == 4
    assert len({sealed.encrypted_key[:size] for sealed in made}) == 4
    assert len({sealed.encrypted_key[size:] for sealed in made}) == 4


@pytest.mark.parametrize(
    ("curve", "number"),
    [("P256", 1), ("P256", 2**240 + 5), ("P256", 2**248 - 1), ("SECP521", 1), ("SECP521", 2**504 - 1)],
)
def test_short_scalars_keep_their_leading_zeros(curve: Curve, number: int) -> None:
    """Stacks in the field drop them, and the cipher or the vehicle fails."""
    private_key = key(curve, number)
    sealed = seal(private_key, vehicle_key(curve).public_key(), curve=curve)
    content = ByHand(curve).decrypt(sealed, vehicle_key(curve), b"")
    assert len(content) == WIDTHS[curve]
    assert content[0] == 0
    assert int.from_bytes(content, "big") == number
    opened = unseal(
        sealed, SoftwareAgreement(vehicle_key(curve)), contract=certificate(private_key.public_key()), aad=b""
    )
    assert content_of(opened, curve) == content


@pytest.mark.parametrize("curve", EC_CURVES)
def test_the_number_of_a_key_is_sealed_as_the_key_is(curve: Curve) -> None:
    for number in (1, 2**240 + 5):
        octets, suite = number.to_bytes(WIDTHS[curve], "big"), suite_of(contract_key(curve))
        sealed = seal_number(octets, suite, vehicle_key(curve).public_key(), curve=curve, aad=aad_for(curve))
        assert ByHand(curve).decrypt(sealed, vehicle_key(curve), aad_for(curve)) == octets
        with pytest.raises(ValueError):
            seal_number(octets[1:], suite, vehicle_key(curve).public_key(), curve=curve)
        other = SUITES["p521" if curve == "P256" else "p256"]
        with pytest.raises(V2GPKIError, match=r"envelope\.wrong_curve"):
            seal_number(octets, other, vehicle_key(curve).public_key(), curve=curve)


@pytest.mark.parametrize("curve", EC_CURVES)
def test_a_secret_with_leading_zeros_keeps_them(curve: Curve) -> None:
    """Two zero octets for P-521, the first of which says little; found by counting."""
    receiver = vehicle_key(curve)
    zeros = bytes(WIDTHS[curve] // 32)

    def short(number: int) -> bool:
        return ByHand(curve).secret(key(curve, number), receiver.public_key()).startswith(zeros)

    ephemeral = key(curve, first(range(1, 10_000), short))
    sealed = seal(contract_key(curve), receiver.public_key(), curve=curve, ephemeral=ephemeral)
    assert ByHand(curve).decrypt(sealed, receiver, b"") == content_of(contract_key(curve), curve)
    assert unseal(sealed, SoftwareAgreement(receiver), contract=contract(curve))


WRONG: list[tuple[Curve, PrivateKey, PublicKey, PrivateKey | None]] = [
    ("P256", contract_key("P256"), vehicle_key("SECP521").public_key(), None),
    ("P256", contract_key("SECP521"), vehicle_key("P256").public_key(), None),
    ("P256", contract_key("P256"), vehicle_key("X448").public_key(), None),
    ("P256", contract_key("P256"), vehicle_key("P256").public_key(), sender_key("SECP521")),
    ("P256", ed448.Ed448PrivateKey.from_private_bytes(bytes(57)), vehicle_key("P256").public_key(), None),
    ("SECP521", contract_key("P256"), vehicle_key("SECP521").public_key(), None),
    ("SECP521", contract_key("SECP521"), vehicle_key("P256").public_key(), None),
    ("SECP521", contract_key("SECP521"), vehicle_key("SECP521").public_key(), sender_key("P256")),
    ("SECP521", contract_key("X448"), vehicle_key("SECP521").public_key(), None),
    ("X448", contract_key("SECP521"), vehicle_key("X448").public_key(), None),
    ("X448", contract_key("X448"), vehicle_key("SECP521").public_key(), None),
    ("X448", contract_key("X448"), ed448.Ed448PrivateKey.from_private_bytes(bytes(57)).public_key(), None),
]


@pytest.mark.parametrize(("curve", "contract_", "receiver", "ephemeral"), WRONG)
def test_keys_of_another_suite_are_refused(
    curve: Curve, contract_: PrivateKey, receiver: PublicKey, ephemeral: PrivateKey | None
) -> None:
    with pytest.raises(V2GPKIError) as caught:
        seal(contract_, receiver, curve=curve, ephemeral=ephemeral)
    assert caught.value.code == "envelope.wrong_curve"
    assert caught.value.outcome.iso20 == "WARNING_CertificateValidationError"


def test_curves_of_no_suite_are_refused() -> None:
    foreign = ec.derive_private_key(5, ec.SECP384R1())
    for contract_, receiver in ((foreign, vehicle_key("P256")), (contract_key("P256"), foreign)):
        with pytest.raises(V2GPKIError) as caught:
            seal(contract_, receiver.public_key(), curve="P256")
        assert caught.value.code == "key.unsupported"


@pytest.mark.parametrize("curve", ALL_CURVES)
@pytest.mark.parametrize("change", [-1, 1])
def test_an_iv_of_another_size_is_refused(curve: Curve, change: int) -> None:
    with pytest.raises(V2GPKIError) as caught:
        seal(contract_key(curve), vehicle_key(curve).public_key(), curve=curve, iv=bytes(len(IV[curve]) + change))
    assert caught.value.code == "envelope.wrong_size"


def test_cbc_binds_no_additional_data() -> None:
    with pytest.raises(V2GPKIError) as caught:
        seal(contract_key("P256"), vehicle_key("P256").public_key(), curve="P256", aad=b"x")
    assert caught.value.code == "envelope.unknown_aad"


def test_nothing_is_sealed_for_a_tpm() -> None:
    with pytest.raises(V2GPKIError) as caught:
        seal(contract_key("SECP521"), vehicle_key("SECP521").public_key(), curve="TPM")
    assert caught.value.code == "envelope.tpm_opaque"


def test_an_x448_receiver_of_small_order_is_refused() -> None:
    for coordinate in (0, 1):
        receiver = x448.X448PublicKey.from_public_bytes(coordinate.to_bytes(56, "little"))
        with pytest.raises(V2GPKIError) as caught:
            seal(contract_key("X448"), receiver, curve="X448")
        assert caught.value.code == "key.cannot_agree"


# --- X448 and Ed448 -------------------------------------------------------------------------------------------------


def test_the_two_forms_of_the_x448_field() -> None:
    """56 octets as the text says, 133 as the schema does: zeros behind the point. Both open."""
    arguments = {"curve": "X448", "ephemeral": sender_key("X448"), "iv": IV["X448"]}
    receiver = vehicle_key("X448")
    bare = seal(contract_key("X448"), receiver.public_key(), **arguments)  # type: ignore[arg-type]  # spread arguments
    filled = seal(contract_key("X448"), receiver.public_key(), x448_form="schema", **arguments)  # type: ignore[arg-type]
    assert bare.dh_public_key == octets_of(sender_key("X448").public_key())
    assert filled == replace(bare, dh_public_key=bare.dh_public_key + bytes(77))
    for sealed in (bare, filled):
        opened = unseal(sealed, SoftwareAgreement(receiver), contract=contract("X448"))
        assert content_of(opened, "X448") == content_of(contract_key("X448"), "X448")


def test_an_ed448_contract_key_is_refused_and_never_cut_off() -> None:
    for last in (b"\0", b"\1"):
        contract_ = ed448.Ed448PrivateKey.from_private_bytes(bytes(range(56)) + last)
        with pytest.raises(V2GPKIError) as caught:
            seal(contract_, vehicle_key("X448").public_key(), curve="X448")
        assert caught.value.code == "envelope.ed448_key"
        assert "57 octets" in caught.value.message
        assert "P-521" in caught.value.hint


def test_the_laboratory_form_carries_an_ed448_key_without_loss() -> None:
    contract_ = lab_ed448_key(random=lambda count: bytes(range(200, 200 + count)))
    assert contract_.private_bytes_raw() == bytes(range(200, 256)) + b"\0"
    der = certificate(contract_.public_key())
    receiver = SoftwareAgreement(vehicle_key("X448"))
    sealed = seal(contract_, vehicle_key("X448").public_key(), curve="X448", lab_ed448=True)
    assert ByHand("X448").decrypt(sealed, vehicle_key("X448"), b"") == bytes(range(200, 256))
    opened = unseal(sealed, receiver, contract=der, lab_ed448=True)
    assert isinstance(opened, ed448.Ed448PrivateKey)
    assert opened.private_bytes_raw() == contract_.private_bytes_raw()
    with pytest.raises(V2GPKIError) as caught:
        unseal(sealed, receiver, contract=der)
    assert caught.value.code == "envelope.ed448_key"


def test_the_laboratory_form_refuses_a_key_that_would_lose_its_last_octet() -> None:
    contract_ = ed448.Ed448PrivateKey.from_private_bytes(bytes(range(1, 58)))
    with pytest.raises(V2GPKIError) as caught:
        seal(contract_, vehicle_key("X448").public_key(), curve="X448", lab_ed448=True)
    assert caught.value.code == "envelope.ed448_key"
    assert "last octet" in caught.value.message


def test_laboratory_keys_are_random() -> None:
    made = {lab_ed448_key().private_bytes_raw() for _ in range(3)}
    assert len(made) == 3
    assert all(octets[56] == 0 for octets in made)
