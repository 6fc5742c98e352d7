"""RISE-V2G's published CertificateInstallationRes through `pnc.installation`: read, verified, and made once more.

Every expected octet is theirs (vectors/published.json). Their key of the vehicle is not published, so the envelope
stays closed; the private key that their README names is, though it is not the one that signed.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.pnc import samples
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec
from v2gpki.pnc import installation
from v2gpki.pnc.envelope import Sealed
from v2gpki.profile.load import Catalogue
from v2gpki.services.trust import TrustedChain, judge

#: Within the validity of all its certificates; the CPS leaf was valid for three months.
THEN = datetime(2017, 9, 1, tzinfo=UTC)


def trust(chain: tuple[bytes, ...]) -> TrustedChain:
    """Under the root that they published with it. Their CA wrote no AuthorityKeyIdentifier: that is noted."""
    root = base64.b64decode(samples.published("rise_v2g")["v2g_root"])
    return judge(
        chain,
        [root],
        catalogue=Catalogue(),
        role="cps",
        edition="iso15118-2",
        at=THEN,
        ordered=True,
        tolerate=["lint.authority_key_identifier.missing"],
    )


def own_service() -> bytes:
    """A certificate around a key of ours, in the place of their provisioning service."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CPS")])
    builder = x509.CertificateBuilder(name, name, samples.annex_j_key().public_key(), 1, THEN, THEN.replace(year=2027))
    return builder.sign(samples.annex_j_key(), hashes.SHA256()).public_bytes(Encoding.DER)


def response() -> installation.Response:
    return installation.read_response(codec.encode(samples.rise_message()))


def test_their_response_is_read() -> None:
    read = response()
    assert (read.edition, read.action, read.code) == ("iso15118-2", "install", "OK")
    assert read.session_id.hex() == "3753719c451bc6c7"
    assert read.data.emaid == "DEABCC123ABC56"
    printed = samples.published("rise_v2g")["parameters"]
    assert read.data.sealed == Sealed(
        "P256", bytes.fromhex(printed["dh_public_key"]), bytes.fromhex(printed["encrypted_private_key"])
    )
    names = [x509.load_der_x509_certificate(der).subject for der in read.data.chain]
    assert [name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value for name in names] == [
        "DE-ABC-C123ABC56",
        "MOSubCA2",
        "MOSubCA1",
    ]


def test_their_response_is_verified() -> None:
    verified = installation.verify_response(response(), trust=trust, emaid="DE-ABC-C123ABC56")
    assert verified.check.signed_info.hex() == samples.published("rise_v2g")["signed_info"]
    assert isinstance(verified.trusted, TrustedChain)


def test_their_response_is_for_no_other_contract() -> None:
    with pytest.raises(V2GPKIError) as refused:
        installation.verify_response(response(), trust=trust, emaid="DE-ABC-C123ABC57")
    assert refused.value.code == "installation.wrong_emaid"


def test_the_same_parameters_make_the_same_fragments_and_digests() -> None:
    """What they printed for the four elements, from contract data that we sign."""
    theirs = samples.published("rise_v2g")
    signed = installation.sign_contract(
        response().data, cps_chain=[own_service()], signer=samples.signer("p256")
    )
    made = dict(zip(("id1", "id2", "id3", "id4"), installation.fragments(signed), strict=True))
    assert {id_: made[id_].hex() for id_ in theirs["fragments"]} == theirs["fragments"]
    digests = {
        str(reference.URI).removeprefix("#"): base64.b64encode(reference.DigestValue).decode()
        for reference in signed.signature.SignedInfo.Reference
    }
    assert digests == theirs["digests"]
    assert {id_: base64.b64encode(hashlib.sha256(octets).digest()).decode() for id_, octets in made.items()} == digests


def test_the_private_key_that_they_name_is_that_of_the_public_key_that_they_name() -> None:
    theirs = samples.published("rise_v2g")
    key = ec.derive_private_key(int(theirs["mo_sub_ca_2_private_key"], 16), ec.SECP256R1())
    point = bytes.fromhex(theirs["mo_sub_ca_2_public_key"])
    assert key.public_key() == ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    above = x509.load_der_x509_certificate(response().data.chain[1])
    assert above.public_key() == key.public_key()
