"""Agreement on secrets: RFC 7748's published values, and arithmetic on the curves written out."""

from __future__ import annotations

import copy
import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x448

from tests.keys.published import KEYS
from v2gpki.errors import V2GPKIError
from v2gpki.keys.agreement import KeyAgreement, shared_secret
from v2gpki.keys.software import SoftwareAgreement
from v2gpki.keys.suites import PrivateKey, PublicKey

#: RFC 7748 6.2.
ALICE = (
    "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b"
)
ALICE_PUBLIC = (
    "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0"
)
BOB = "1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10b65173992d"
BOB_PUBLIC = (
    "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609"
)
SHARED = (
    "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a449a5037514a879d"
)
#: RFC 7748 5.2, the first row for X448: scalar, coordinate, result.
SCALAR = (
    "3d262fddf9ec8e88495266fea19a34d28882acef045104d0d1aae121700a779c984c24f8cdd78fbff44943eba368f54b29259a4f1c600ad3"
)
COORDINATE = (
    "06fce640fa3487bfda5f6cf2d5263f8aad88334cbd07437f020f08f9814dc031ddbdc38c19c6da2583fa5429db94ada18aa7a7fb4ef8a086"
)
RESULT = (
    "ce3e4ff95a60dc6697da1db1d85e6afbdf79b50a2412d7546d5f239fe14fbaadeb445fc66a01b0779d98223961111e21766282f73dd96b6f"
)


def x448_private(text: str) -> x448.X448PrivateKey:
    return x448.X448PrivateKey.from_private_bytes(bytes.fromhex(text))


def x448_public(text: str) -> x448.X448PublicKey:
    return x448.X448PublicKey.from_public_bytes(bytes.fromhex(text))


@pytest.mark.parametrize(
    ("private", "public", "expected"),
    [(ALICE, BOB_PUBLIC, SHARED), (BOB, ALICE_PUBLIC, SHARED), (SCALAR, COORDINATE, RESULT)],
)
def test_x448_is_what_rfc_7748_publishes(private: str, public: str, expected: str) -> None:
    agreement: KeyAgreement = SoftwareAgreement(x448_private(private))
    assert agreement.agree(x448_public(public)).hex() == expected
    assert shared_secret(x448_private(private), x448_public(public)).hex() == expected


def test_the_published_public_keys() -> None:
    for private, public in ((ALICE, ALICE_PUBLIC), (BOB, BOB_PUBLIC)):
        agreement = SoftwareAgreement(x448_private(private))
        assert agreement.spki == bytes.fromhex("3042300506032b656f033900" + public)
        assert agreement.suite.name == "x448"


#: The x-coordinates of the generators (SEC 2 2.4.2 and 2.6.1): the secret of a scalar and its inverse's point.
GENERATORS = {
    "p256": (
        ec.SECP256R1(),
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
    ),
    "p521": (
        ec.SECP521R1(),
        2**521 - 657877501894328237357444332315020117536923257219387276263472201219398408051703,
        "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a4"
        "29bf97e7e31c2e5bd66",
    ),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_a_scalar_and_the_point_of_its_inverse_agree_on_the_generator(name: str) -> None:
    """d * (1/d * G) = G: the published x-coordinate comes out, with its leading zeros."""
    curve, order, x = GENERATORS[name]
    for number in (2, 3, 0x1234567890ABCDEF, order - 2):
        peer = ec.derive_private_key(pow(number, -1, order), curve).public_key()
        agreement = SoftwareAgreement(ec.derive_private_key(number, curve))
        assert agreement.suite.name == name
        assert agreement.agree(peer).hex() == x


@pytest.mark.parametrize("own", ["p256", "p521", "x448"])
@pytest.mark.parametrize("peer", ["p256", "p521", "x448", "ed448"])
def test_keys_of_two_suites_do_not_agree(own: str, peer: str) -> None:
    if own == peer:
        assert SoftwareAgreement(KEYS[own]).agree(KEYS[peer].public_key())
        return
    with pytest.raises(V2GPKIError) as caught:
        SoftwareAgreement(KEYS[own]).agree(KEYS[peer].public_key())
    assert caught.value.code == "key.cannot_agree"
    assert (caught.value.facts["suite"], caught.value.facts["peer"]) == (own, peer)


def test_ed448_cannot_agree() -> None:
    operations: list[tuple[PrivateKey, PublicKey]] = [
        (KEYS["ed448"], KEYS["ed448"].public_key()),
        (KEYS["ed448"], KEYS["x448"].public_key()),
    ]
    for own, peer in operations:
        with pytest.raises(V2GPKIError) as caught:
            shared_secret(own, peer)
        assert caught.value.code == "key.cannot_agree"
    with pytest.raises(V2GPKIError) as caught:
        SoftwareAgreement(KEYS["ed448"])
    assert caught.value.code == "key.cannot_agree"


def test_a_curve_of_no_suite() -> None:
    with pytest.raises(V2GPKIError) as caught:
        SoftwareAgreement(ec.derive_private_key(5, ec.SECP384R1()))
    assert caught.value.code == "key.unsupported"


@pytest.mark.parametrize("coordinate", [0, 1, 2**448 - 2**224 - 2, 2**448 - 2**224 - 1, 2**448 - 2**224])
def test_an_x448_secret_of_zeros_is_refused(coordinate: int) -> None:
    """0, 1 and -1, and what is the same modulo the prime (RFC 7748 6.2)."""
    peer = x448.X448PublicKey.from_public_bytes(coordinate.to_bytes(56, "little"))
    with pytest.raises(V2GPKIError) as caught:
        SoftwareAgreement(x448_private(ALICE)).agree(peer)
    assert caught.value.code == "key.cannot_agree"
    assert "zero" in caught.value.message


def test_no_key_material_leaves() -> None:
    agreement = SoftwareAgreement(x448_private(ALICE))
    assert ALICE[:8] not in repr(agreement)
    assert repr(agreement).startswith("SoftwareAgreement(x448, public key ")
    for operation in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="private key"):
            operation(agreement)
