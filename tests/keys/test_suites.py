"""Key suites: DER forms from the RFCs written out, and every kind of bad public key."""

from __future__ import annotations

import re
from typing import TypeAlias

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x448, x25519

from tests.keys.published import KEYS, point
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import SUITES, halves_of, load_public_key, spki_of, suite_of, suite_of_spki

# id-ecPublicKey 1.2.840.10045.2.1 (RFC 5480 2.1.1), secp256r1 1.2.840.10045.3.1.7, secp521r1 1.3.132.0.35 (2.1.1.1)
EC = "06072a8648ce3d0201"
P256 = "06082a8648ce3d030107"
P521 = "06052b81040023"
X, Y = point("p256")[1:33], point("p256")[33:]
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_Foreign: TypeAlias = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey
)
FIELD_448 = 2**448 - 2**224 - 1


def spki(algorithm: str, key: bytes, unused: int = 0) -> bytes:
    """SubjectPublicKeyInfo written out; all lengths here are below 256."""

    def tlv(tag: int, content: bytes) -> bytes:
        head = bytes((tag, len(content))) if len(content) < 128 else bytes((tag, 0x81, len(content)))
        return head + content

    return tlv(0x30, tlv(0x30, bytes.fromhex(algorithm)) + tlv(0x03, bytes((unused,)) + key))


GOOD = {
    "p256": spki(EC + P256, point("p256")),
    "p521": spki(EC + P521, point("p521")),
    "ed448": spki("06032b6571", point("ed448")),  # 1.3.101.113, no parameters (RFC 8410 3)
    "x448": spki("06032b656f", point("x448")),  # 1.3.101.111
}


def refusal(data: bytes, *, by_form: bool = True) -> V2GPKIError:
    """The refusal on loading; ``by_form`` when the octets alone, without arithmetic, already give it away."""
    with pytest.raises(V2GPKIError) as caught:
        load_public_key(data)
    if by_form:
        with pytest.raises(V2GPKIError) as also:
            suite_of_spki(data)
        assert also.value.code == caught.value.code
    assert caught.value.outcome.exit_code == 1
    return caught.value


@pytest.mark.parametrize("name", SUITES)
def test_forms_are_those_of_the_rfcs(name: str) -> None:
    suite = SUITES[name]
    assert GOOD[name] == suite.spki_prefix + point(name)
    assert spki_of(KEYS[name].public_key()) == GOOD[name]
    assert suite_of_spki(GOOD[name]) is suite
    assert suite_of(load_public_key(GOOD[name])) is suite
    assert suite_of(KEYS[name]) is suite


def test_signature_algorithms() -> None:
    # ecdsa-with-SHA256 1.2.840.10045.4.3.2, ecdsa-with-SHA512 .4 (RFC 5758 3.2), id-Ed448 (RFC 8410 3): no parameters.
    # 1.2.840.10045.4.3 is 2a 86 48 ce 3d 04 03: 840 = 6 * 128 + 72, 10045 = 78 * 128 + 61.
    assert [840 >> 7, 840 & 127, 10045 >> 7, 10045 & 127] == [0x06, 0x48, 0x4E, 0x3D]
    assert SUITES["p256"].signature_algorithm.hex() == "300a" + "0608" + "2a8648ce3d0403" + "02"
    assert SUITES["p521"].signature_algorithm.hex() == "300a" + "0608" + "2a8648ce3d0403" + "04"
    assert SUITES["ed448"].signature_algorithm.hex() == "3005" + "0603" + "2b6571"
    assert not SUITES["x448"].signs
    # The largest signatures: two INTEGERs of 33 octets (a leading zero), or of 66 (521 bits leave seven spare).
    assert SUITES["p256"].signature_size == 2 + 2 * (2 + 33)
    assert SUITES["p521"].signature_size == 3 + 2 * (2 + 66)
    assert SUITES["ed448"].signature_size == 2 * 57


@pytest.mark.parametrize("name", SUITES)
def test_generated_keys_have_the_form_that_is_recognised(name: str) -> None:
    key = SUITES[name].generate().public_key()
    assert suite_of_spki(spki_of(key)).name == name
    assert spki_of(load_public_key(spki_of(key))) == spki_of(key)


def test_point_off_the_curve() -> None:
    # y^2 = x^3 - 3x + b holds for the published point only with its own y
    assert refusal(spki(EC + P256, b"\x04" + X + Y[:-1] + bytes((Y[-1] ^ 1,))), by_form=False).code == "key.malformed"
    assert refusal(spki(EC + P256, b"\x04" + Y + X), by_form=False).code == "key.malformed"
    assert refusal(spki(EC + P256, b"\x04" + bytes(64)), by_form=False).code == "key.malformed"


def test_coordinates_not_below_the_field_prime() -> None:
    assert refusal(spki(EC + P256, b"\x04" + P.to_bytes(32, "big") + Y), by_form=False).code == "key.malformed"
    assert refusal(spki(EC + P256, b"\x04" + b"\xff" * 64), by_form=False).code == "key.malformed"


def test_point_at_infinity() -> None:
    assert refusal(spki(EC + P256, b"\x00")).code == "key.malformed"


def test_point_of_the_wrong_length() -> None:
    assert refusal(spki(EC + P256, b"\x04" + X + Y[:-1])).code == "key.malformed"
    assert refusal(spki(EC + P256, b"\x04" + X + Y + b"\x00")).code == "key.malformed"
    assert refusal(spki(EC + P256, b"")).code == "key.malformed"


def test_point_of_the_other_curve() -> None:
    assert refusal(spki(EC + P521, point("p256"))).code == "key.malformed"
    assert refusal(spki(EC + P256, point("p521"))).code == "key.malformed"


def test_hybrid_point() -> None:
    assert refusal(spki(EC + P256, bytes((6 + (Y[-1] & 1),)) + X + Y)).code == "key.malformed"


@pytest.mark.parametrize(("name", "algorithm", "size"), [("p256", EC + P256, 32), ("p521", EC + P521, 66)])
def test_compressed_point_is_read_but_not_certified_as_it_stands(name: str, algorithm: str, size: int) -> None:
    x, last = point(name)[1 : 1 + size], point(name)[-1]
    compressed = spki(algorithm, bytes((2 + (last & 1),)) + x)
    assert spki_of(load_public_key(compressed)) == GOOD[name]
    with pytest.raises(V2GPKIError, match=re.escape("compressed")) as caught:
        suite_of_spki(compressed)
    assert caught.value.code == "key.point_form"
    # the other sign is the other point
    other = spki_of(load_public_key(spki(algorithm, bytes((3 - (last & 1),)) + x)))
    assert other[:-size] == GOOD[name][:-size]
    assert other != GOOD[name]


def test_compressed_point_without_a_root() -> None:
    # of x = 0, 1, 2, .. the first for which x^3 - 3x + b is no square (Euler's criterion)
    b = (int.from_bytes(Y, "big") ** 2 - int.from_bytes(X, "big") ** 3 + 3 * int.from_bytes(X, "big")) % P
    x = next(x for x in range(100) if pow((x**3 - 3 * x + b) % P, (P - 1) // 2, P) == P - 1)
    assert refusal(spki(EC + P256, b"\x02" + x.to_bytes(32, "big"))).code == "key.malformed"


def test_explicit_curve_parameters() -> None:
    # RFC 5480 2.1.1 forbids specifiedCurve; this is secp256r1 itself, spelled out by its numbers.
    def tlv(tag: int, content: bytes) -> bytes:
        size = len(content)
        head = (size,) if size < 128 else (0x81, size) if size < 256 else (0x82, size >> 8, size & 255)
        return bytes((tag, *head)) + content

    def number(value: int) -> bytes:
        return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))

    b = (int.from_bytes(Y, "big") ** 2 - int.from_bytes(X, "big") ** 3 + 3 * int.from_bytes(X, "big")) % P
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    base = ec.derive_private_key(1, ec.SECP256R1()).public_key()
    generator = base.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    field = tlv(0x30, bytes.fromhex("06072a8648ce3d0101") + number(P))
    curve = tlv(0x30, tlv(0x04, (P - 3).to_bytes(32, "big")) + tlv(0x04, b.to_bytes(32, "big")))
    parameters = tlv(0x30, number(1) + field + curve + tlv(0x04, generator) + number(order) + number(1))
    algorithm = tlv(0x30, bytes.fromhex(EC) + parameters)
    assert refusal(tlv(0x30, algorithm + tlv(0x03, b"\x00" + point("p256")))).code == "key.malformed"


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\x30\x00",
        GOOD["p256"][:-1],
        GOOD["p256"] + b"\x00",
        b"\x30\x81\x59" + GOOD["p256"][2:],  # a length in more octets than needed
        spki(EC + P256, point("p256"), unused=1),
        spki(EC, point("p256")),  # no curve
        spki("06032b65710500", point("ed448")),  # NULL parameters
        spki("06032b6571", point("ed448")[:-1]),
        spki("06032b656f", point("x448") + b"\x00"),
    ],
)
def test_broken_der(damaged: bytes) -> None:
    assert refusal(damaged).code in {"key.malformed", "key.unsupported"}


def test_foreign_keys() -> None:
    foreign: dict[str, _Foreign] = {
        "an RSA key": rsa.generate_private_key(65537, 2048),
        "secp384r1": ec.generate_private_key(ec.SECP384R1()),
        "secp256k1": ec.generate_private_key(ec.SECP256K1()),
        "brainpoolP256r1": ec.generate_private_key(ec.BrainpoolP256R1()),
        "an Ed25519 key": ed25519.Ed25519PrivateKey.generate(),
        "an X25519 key": x25519.X25519PrivateKey.generate(),
    }
    for name, key in foreign.items():
        encoded = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        error = refusal(encoded)
        assert error.code == "key.unsupported"
        assert name in error.message


@pytest.mark.parametrize("u", [0, 1, FIELD_448 - 1, FIELD_448, FIELD_448 + 1, 2**448 - 1])
def test_x448_points_of_small_order_and_no_field_elements(u: int) -> None:
    key = x448.X448PrivateKey.generate()
    if u < 2 or u >= FIELD_448 - 1:
        encoded = spki("06032b656f", u.to_bytes(56, "little"))
        with pytest.raises(V2GPKIError) as caught:
            load_public_key(encoded)
        assert caught.value.code == "key.malformed"
    if u in {0, 1, FIELD_448 - 1}:
        # why: whatever the private key, the agreed secret is zero, which the library refuses to return
        with pytest.raises(ValueError):
            key.exchange(x448.X448PublicKey.from_public_bytes(u.to_bytes(56, "little")))


@pytest.mark.parametrize("y", [0, 1, FIELD_448 - 1, FIELD_448, FIELD_448 + 1])
def test_ed448_points_of_small_order(y: int) -> None:
    with pytest.raises(V2GPKIError) as caught:
        load_public_key(spki("06032b6571", y.to_bytes(57, "little")))
    assert caught.value.code == "key.malformed"


def test_ed448_octets_that_are_no_point() -> None:
    d = -39081
    y = next(
        y
        for y in range(2, 100)
        if pow((y * y - 1) * pow(d * y * y - 1, -1, FIELD_448), (FIELD_448 - 1) // 2, FIELD_448) != 1
    )
    good = next(
        y
        for y in range(2, 100)
        if pow((y * y - 1) * pow(d * y * y - 1, -1, FIELD_448), (FIELD_448 - 1) // 2, FIELD_448) == 1
    )
    with pytest.raises(V2GPKIError) as caught:
        load_public_key(spki("06032b6571", y.to_bytes(57, "little")))
    assert caught.value.code == "key.malformed"
    key = load_public_key(spki("06032b6571", good.to_bytes(57, "little")))
    assert isinstance(key, ed448.Ed448PublicKey)
    with pytest.raises(V2GPKIError):  # the last octet holds the sign of x and seven zero bits
        load_public_key(spki("06032b6571", good.to_bytes(56, "little") + b"\x01"))


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
@pytest.mark.parametrize("number", [1, 2, 255, 2**200, 2**255 - 1])
def test_halves_of_a_key_are_its_number_and_its_public_key(curve: ec.EllipticCurve, number: int) -> None:
    """Small numbers have leading zeros, which an envelope carries."""
    key = ec.derive_private_key(number, curve)
    octets, public = halves_of(key)
    assert octets == number.to_bytes(32 if curve.name == "secp256r1" else 66, "big")
    assert public == key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def test_halves_of_any_key() -> None:
    for suite in (SUITES["p256"], SUITES["p521"]) * 20:
        key = suite.generate()
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        octets, public = halves_of(key)
        assert int.from_bytes(octets, "big") == key.private_numbers().private_value
        assert public == spki_of(key.public_key())


def test_no_halves_of_a_curve_that_is_not_used() -> None:
    with pytest.raises(V2GPKIError, match=r"key\.unsupported"):
        halves_of(ec.generate_private_key(ec.SECP384R1()))
