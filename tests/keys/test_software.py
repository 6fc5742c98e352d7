"""The signer in memory against published values and ``cryptography``'s own verification."""

from __future__ import annotations

import copy
import pickle

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.keys.published import KEYS, octets, point
from v2gpki.errors import V2GPKIError
from v2gpki.keys.signer import Signer
from v2gpki.keys.software import SoftwareSigner


def test_ed448_is_the_published_signature() -> None:
    signer: Signer = SoftwareSigner(KEYS["ed448"])
    assert signer.sign(b"") == octets("ed448", "signature")
    assert signer.spki[-57:] == point("ed448")


@pytest.mark.parametrize(("name", "digest"), [("p256", hashes.SHA256()), ("p521", hashes.SHA512())])
def test_ecdsa_with_the_hash_of_the_suite(name: str, digest: hashes.HashAlgorithm) -> None:
    signer = SoftwareSigner(KEYS[name])
    public = KEYS[name].public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    signature = signer.sign(b"to be signed")
    public.verify(signature, b"to be signed", ec.ECDSA(digest))
    assert signature[0] == 0x30
    assert len(signature) <= signer.suite.signature_size
    assert signer.suite.name == name
    assert signer.spki.endswith(point(name))
    other = hashes.SHA384()
    with pytest.raises(InvalidSignature):
        public.verify(signature, b"to be signed", ec.ECDSA(other))


def test_x448_cannot_sign() -> None:
    with pytest.raises(V2GPKIError) as caught:
        SoftwareSigner(KEYS["x448"])
    assert caught.value.code == "key.cannot_sign"


def test_foreign_curve() -> None:
    with pytest.raises(V2GPKIError) as caught:
        SoftwareSigner(ec.generate_private_key(ec.SECP384R1()))
    assert caught.value.code == "key.unsupported"


def test_shows_and_gives_away_nothing() -> None:
    signer = SoftwareSigner(KEYS["p256"])
    secret = octets("p256", "private").hex()
    assert secret not in repr(signer)
    assert str(int(secret, 16)) not in repr(signer)
    with pytest.raises(TypeError):
        pickle.dumps(signer)
    with pytest.raises(TypeError):
        copy.deepcopy(signer)
