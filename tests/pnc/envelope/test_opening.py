"""Envelopes made by hashlib and the bare ciphers, good and bad in every way, opened by us."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest

from tests.pnc.envelope.samples import (
    AAD,
    ALL_CURVES,
    EC_CURVES,
    N256,
    N521,
    P256,
    P448,
    P521,
    WIDTHS,
    ByHand,
    aad_for,
    certificate,
    content_of,
    contract,
    contract_key,
    key,
    octets_of,
    other_key,
    sender_key,
    vehicle_key,
)
from v2gpki.errors import V2GPKIError
from v2gpki.keys.software import SoftwareAgreement
from v2gpki.keys.suites import suite_of
from v2gpki.pnc.envelope import Curve, Sealed
from v2gpki.pnc.envelope.opening import Steps, trace, unseal

PRIMES = {"P256": P256, "SECP521": P521}
#: The constant b of each curve (SEC 2 2.4.2, 2.6.1).
B = {
    "P256": 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    "SECP521": int(
        "0051953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1"
        "EF451FD46B503F00",
        16,
    ),
}


@cache
def good(curve: Curve) -> Sealed:
    return ByHand(curve).encrypt(content_of(contract_key(curve), curve), aad_for(curve))


def refusal(
    sealed: Sealed, *, aad: bytes | None = None, der: bytes = b"", receiver: SoftwareAgreement | None = None
) -> V2GPKIError:
    """Why `unseal` refuses; `trace` refuses for the same reason."""
    curve = sealed.curve
    agreement = receiver or SoftwareAgreement(vehicle_key(curve))
    aad = aad_for(curve) if aad is None else aad
    der = der or contract(curve)
    with pytest.raises(V2GPKIError) as caught:
        unseal(sealed, agreement, contract=der, aad=aad)
    steps = trace(sealed, agreement, contract=der, aad=aad)
    assert steps.failure is not None
    assert (steps.failure.code, steps.failure.message) == (caught.value.code, caught.value.message)
    return caught.value


@pytest.mark.parametrize("curve", ALL_CURVES)
def test_what_others_seal_opens(curve: Curve) -> None:
    receiver = SoftwareAgreement(vehicle_key(curve))
    opened = unseal(good(curve), receiver, contract=contract(curve), aad=aad_for(curve))
    assert suite_of(opened) is receiver.suite
    assert content_of(opened, curve) == content_of(contract_key(curve), curve)


# --- bits -----------------------------------------------------------------------------------------------------------


def flipped(octets: bytes, bit: int) -> bytes:
    return (int.from_bytes(octets, "big") ^ (1 << bit)).to_bytes(len(octets), "big")


@pytest.mark.parametrize("curve", ["SECP521", "X448"])
def test_every_octet_of_a_gcm_envelope_counts(curve: Curve) -> None:
    """IV, ciphertext and tag; one bit of each octet, another one each time."""
    octets = good(curve).encrypted_key
    for position in range(len(octets)):
        bad = replace(good(curve), encrypted_key=flipped(octets, 8 * position + position % 8))
        assert refusal(bad).code == "envelope.bad_tag"


def test_every_bit_of_a_cbc_envelope_counts() -> None:
    """No integrity, but another number comes out: mostly one of the curve, which is not the contract's."""
    codes = set()
    for bit in range(0, 384, 5):
        bad = replace(good("P256"), encrypted_key=flipped(good("P256").encrypted_key, bit))
        codes.add(refusal(bad).code)
    assert codes == {"envelope.key_mismatch"}


@pytest.mark.parametrize("curve", ["SECP521", "X448"])
def test_other_additional_data_is_refused(curve: Curve) -> None:
    for other in (b"", AAD[:-1], AAD + b"\0", flipped(AAD, 0), AAD.lower()):
        problem = refusal(good(curve), aad=other)
        assert problem.code == "envelope.bad_tag"
        assert "additional data" in problem.hint


def test_additional_data_with_cbc_is_refused() -> None:
    assert refusal(good("P256"), aad=AAD).code == "envelope.unknown_aad"


@pytest.mark.parametrize("curve", ALL_CURVES)
def test_another_vehicle_cannot_open_it(curve: Curve) -> None:
    code = "envelope.key_mismatch" if curve == "P256" else "envelope.bad_tag"
    assert refusal(good(curve), receiver=SoftwareAgreement(other_key(curve))).code == code


@pytest.mark.parametrize("curve", ALL_CURVES)
def test_another_ephemeral_point_is_refused(curve: Curve) -> None:
    swapped = replace(good(curve), dh_public_key=octets_of(other_key(curve).public_key()))
    assert refusal(swapped).code == ("envelope.key_mismatch" if curve == "P256" else "envelope.bad_tag")


# --- scalars --------------------------------------------------------------------------------------------------------


def bad_scalars() -> Iterator[tuple[Curve, int]]:
    for curve, order in zip(EC_CURVES, (N256, N521), strict=True):
        largest = 2 ** (8 * WIDTHS[curve]) - 1
        prime = PRIMES[curve]
        for number in {0, order, order + 1, order + 5, prime, largest, min(2 * order, largest)}:
            yield curve, number


@pytest.mark.parametrize(("curve", "number"), sorted(bad_scalars()))
def test_numbers_outside_the_curve_s_order_are_refused(curve: Curve, number: int) -> None:
    """Also those that are the contract's key modulo the order: 5 and order + 5."""
    sealed = ByHand(curve).encrypt(number.to_bytes(WIDTHS[curve], "big"), aad_for(curve))
    five = certificate(key(curve, 5).public_key())
    for der in (contract(curve), five):
        problem = refusal(sealed, der=der)
        assert problem.code == "envelope.bad_scalar"
        assert "[V2G2" in problem.clause


@pytest.mark.parametrize("curve", EC_CURVES)
def test_the_ends_of_the_range_are_keys(curve: Curve) -> None:
    for number in (1, 2, (N256 if curve == "P256" else N521) - 1):
        sealed = ByHand(curve).encrypt(number.to_bytes(WIDTHS[curve], "big"), aad_for(curve))
        der = certificate(key(curve, number).public_key())
        opened = unseal(sealed, SoftwareAgreement(vehicle_key(curve)), contract=der, aad=aad_for(curve))
        assert int.from_bytes(content_of(opened, curve), "big") == number


@pytest.mark.parametrize("curve", ALL_CURVES)
def test_the_key_of_another_contract_is_refused(curve: Curve) -> None:
    sealed = ByHand(curve).encrypt(content_of(other_key(curve), curve), aad_for(curve))
    problem = refusal(sealed)
    assert problem.code == "envelope.key_mismatch"
    assert problem.clause == "[V2G2-823]"


@pytest.mark.parametrize("curve", EC_CURVES)
def test_the_negative_key_is_refused(curve: Curve) -> None:
    """n - d has the same x-coordinate as d."""
    order = N256 if curve == "P256" else N521
    negative = order - int.from_bytes(content_of(contract_key(curve), curve), "big")
    sealed = ByHand(curve).encrypt(negative.to_bytes(WIDTHS[curve], "big"), aad_for(curve))
    assert refusal(sealed).code == "envelope.key_mismatch"


@pytest.mark.parametrize(("curve", "other"), [("P256", "SECP521"), ("SECP521", "P256"), ("X448", "P256")])
def test_a_contract_of_another_suite_is_refused(curve: Curve, other: str) -> None:
    assert refusal(good(curve), der=contract(other)).code == "envelope.key_mismatch"


# --- points ---------------------------------------------------------------------------------------------------------


def _y(curve: str, x: int) -> int | None:
    """A root of x^3 - 3x + b; both primes are 3 modulo 4."""
    p = PRIMES[curve]
    square = (x**3 - 3 * x + B[curve]) % p
    root = pow(square, (p + 1) // 4, p)
    return root if root * root % p == square else None


def small_point(curve: str) -> tuple[int, int]:
    """A point with a small x-coordinate."""
    return next((x, y) for x in range(5, 100) if (y := _y(curve, x)) is not None)


def point(curve: str, x: int, y: int, prefix: int = 4) -> bytes:
    width = WIDTHS[curve]
    return bytes((prefix,)) + x.to_bytes(width, "big") + y.to_bytes(width, "big")


def bad_points() -> Iterator[tuple[str, Curve, bytes]]:
    for curve in EC_CURVES:
        p, width = PRIMES[curve], WIDTHS[curve]
        x, y = small_point(curve)
        no_x = next(number for number in range(5, 100) if _y(curve, number) is None)
        yield "x without a point", curve, point(curve, no_x, y)
        yield "y beside the curve", curve, point(curve, x, y + 1)
        yield "of the curve with b = 0", curve, point(curve, 0, 0)
        yield "of another b", curve, point(curve, x, (y * 2) % p)
        yield "infinity, filled up with zeros", curve, bytes(1 + 2 * width)
        yield "all ones", curve, b"\x04" + b"\xff" * (2 * width)
        yield "x not reduced", curve, point(curve, x + p, y)
        yield "x is the prime", curve, point(curve, p, _y(curve, 0) or 1)
        if curve == "SECP521":
            yield "y not reduced", curve, point(curve, x, y + p)
        yield "compressed, even", curve, point(curve, x, y, 2)
        yield "compressed, odd", curve, point(curve, x, y, 3)
        yield "hybrid, of this parity", curve, point(curve, x, y, 6 + y % 2)
        yield "hybrid, of the other", curve, point(curve, x, y, 7 - y % 2)
        yield "prefix 00", curve, point(curve, x, y, 0)
        yield "prefix 05", curve, point(curve, x, y, 5)
    for coordinate in (0, 1, P448 - 1, P448, P448 + 1, P448 + 5, 2**448 - 1):
        yield f"coordinate {coordinate - P448} beyond the prime", "X448", coordinate.to_bytes(56, "little")
    yield "zeros and filler", "X448", bytes(133)


BAD_POINTS = list(bad_points())


@pytest.mark.parametrize(("what", "curve", "octets"), BAD_POINTS, ids=[f"{row[1]} {row[0]}" for row in BAD_POINTS])
def test_bad_points_are_refused(what: str, curve: Curve, octets: bytes) -> None:
    problem = refusal(replace(good(curve), dh_public_key=octets))
    assert problem.code == "envelope.bad_point", what
    if what.startswith(("compressed", "hybrid", "prefix", "infinity")):
        assert f"starts with {octets[0]:02x}" in problem.message


@pytest.mark.parametrize("curve", EC_CURVES)
def test_the_point_that_the_bad_ones_are_made_of_is_good(curve: Curve) -> None:
    """It is refused later, by its secret: the cases above fail for what they say."""
    x, y = small_point(curve)
    problem = refusal(replace(good(curve), dh_public_key=point(curve, x, y)))
    assert problem.code == ("envelope.key_mismatch" if curve == "P256" else "envelope.bad_tag")


def test_filler_behind_an_x448_point_is_zero() -> None:
    filled = good("X448").dh_public_key + bytes(77)
    steps = trace(
        replace(good("X448"), dh_public_key=filled),
        SoftwareAgreement(vehicle_key("X448")),
        contract=contract("X448"),
        aad=AAD,
    )
    assert steps.failure is None
    for position in (56, 132):
        bad = filled[:position] + b"\1" + filled[position + 1 :]
        assert refusal(replace(good("X448"), dh_public_key=bad)).code == "envelope.bad_point"


# --- receivers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("curve", "other"), [("P256", "SECP521"), ("SECP521", "P256"), ("SECP521", "X448")])
def test_a_receiver_of_another_suite_is_refused(curve: Curve, other: str) -> None:
    problem = refusal(good(curve), receiver=SoftwareAgreement(vehicle_key(other)))
    assert problem.code == "envelope.wrong_curve"


def test_a_tpm_envelope_cannot_be_opened_here() -> None:
    sealed = Sealed("TPM", good("SECP521").dh_public_key, bytes(206))
    for operation in (unseal, trace):
        with pytest.raises(V2GPKIError) as caught:
            operation(sealed, SoftwareAgreement(vehicle_key("SECP521")), contract=contract("SECP521"))
        assert caught.value.code == "envelope.tpm_opaque"


# --- what is shown --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("curve", ALL_CURVES)
def test_the_steps_are_those_of_the_table(curve: Curve) -> None:
    """Every value once more, by hand."""
    sealed, hand, aad = good(curve), ByHand(curve), aad_for(curve)
    steps = trace(sealed, SoftwareAgreement(vehicle_key(curve)), contract=contract(curve), aad=aad)
    own = vehicle_key(curve)
    z = hand.secret(own, sender_key(curve).public_key())
    start, end = (16, 48) if curve == "P256" else (12, len(sealed.encrypted_key) - 16)
    assert steps.failure is None
    shown = steps.shown()
    assert shown == {
        "curve": curve,
        "digest": "SHA-256" if curve == "P256" else "SHA-512",
        "cipher": "AES-128-CBC" if curve == "P256" else "AES-256-GCM",
        "dh_public_key": sealed.dh_public_key.hex(),
        "z": z.hex(),
        "kdf_input": "00000001" + z.hex() + "015556",
        "kdf_output": shown["kdf_output"],
        "key": hand.derive(z).hex(),
        "iv": sealed.encrypted_key[:start].hex(),
        "aad": aad.hex(),
        "ciphertext": sealed.encrypted_key[start:end].hex(),
        "tag": sealed.encrypted_key[end:].hex(),
        "private_key": content_of(contract_key(curve), curve).hex(),
    }
    assert shown["kdf_output"].startswith(shown["key"])
    assert len(shown["kdf_output"]) == (64 if curve == "P256" else 128)


def test_what_is_not_reached_is_empty() -> None:
    bad_point = trace(
        replace(good("SECP521"), dh_public_key=bytes(133)),
        SoftwareAgreement(vehicle_key("SECP521")),
        contract=contract("SECP521"),
        aad=AAD,
    )
    assert (bad_point.z, bad_point.key, bad_point.private_key) == (b"", b"", b"")
    bad_tag = trace(good("SECP521"), SoftwareAgreement(vehicle_key("SECP521")), contract=contract("SECP521"))
    assert bad_tag.key
    assert bad_tag.private_key == b""


@pytest.mark.parametrize("curve", ALL_CURVES)
def test_refusals_and_repr_hold_no_secret(curve: Curve) -> None:
    receiver = SoftwareAgreement(vehicle_key(curve))
    other = ByHand(curve).encrypt(content_of(other_key(curve), curve), aad_for(curve))
    broken = replace(good(curve), encrypted_key=flipped(good(curve).encrypted_key, 7))
    whole = trace(good(curve), receiver, contract=contract(curve), aad=aad_for(curve))
    secrets = {whole.z, whole.key, whole.private_key, content_of(other_key(curve), curve)}
    for steps in (trace(sealed, receiver, contract=contract(curve), aad=aad_for(curve)) for sealed in (other, broken)):
        assert isinstance(steps, Steps)
        problem = steps.failure
        assert problem is not None
        said = " ".join(
            [repr(steps), repr(whole), repr(problem), str(problem), problem.hint, repr(dict(problem.facts))]
            + [repr(chained) for chained in (problem.__cause__, problem.__context__)]
        )
        for secret in secrets:
            assert secret.hex() not in said
            assert str(int.from_bytes(secret, "big")) not in said
            assert repr(secret) not in said
