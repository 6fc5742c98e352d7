"""``CertificateAuthority.certificate_status`` and ``hash_data``: OCPP's questions, answered by an opened home."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import new as new_hash
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.x509 import ocsp

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from tests.services.ocsp.asking import DIGESTS, read
from v2gpki.certs.chain import pem
from v2gpki.errors import V2GPKIError
from v2gpki.services.issuance import Issued

CA = v2gpki.CertificateAuthority
HashData = dict[str, object]
URL = "http://127.0.0.1:8080/ocsp"
FAMILIES = [("iso15118-2", "p256"), ("iso15118-20", "p521"), ("iso15118-20", "ed448")]
ALGORITHMS = ["SHA256", "SHA384", "SHA512"]


def question(certificate: bytes, issuer: bytes, algorithm: str) -> HashData:
    """OCSPRequestDataType from cryptography's CertID."""
    child, parent = (x509.load_der_x509_certificate(der) for der in (certificate, issuer))
    asked = ocsp.OCSPRequestBuilder().add_certificate(child, parent, DIGESTS[algorithm.lower()]).build()
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": asked.issuer_name_hash.hex(),
        "issuerKeyHash": asked.issuer_key_hash.hex(),
        "serialNumber": f"{child.serial_number:x}",
        "responderURL": URL,
    }


def verified(result: str, issuer: bytes) -> ocsp.OCSPResponse:
    """The answer in an ``ocspResult``, whose signer's certificate the issuer signed."""
    said = read(base64.b64decode(result, validate=True))
    (signer,) = said.certificates
    signer.verify_directly_issued_by(x509.load_der_x509_certificate(issuer))
    key = signer.public_key()
    if isinstance(key, ed448.Ed448PublicKey):
        key.verify(said.signature, said.tbs_response_bytes)
    else:
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert said.signature_hash_algorithm is not None
        key.verify(said.signature, said.tbs_response_bytes, ec.ECDSA(said.signature_hash_algorithm))
    return said


def links(ca: CA, issued: Issued) -> list[tuple[bytes, bytes]]:
    """Each certificate of a chain with its issuer's."""
    root = ca.authority(issued.record.issuer_id).chain[-1]
    return list(zip(issued.chain, [*issued.chain[1:], root], strict=True))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("edition", "suite"), FAMILIES)
def test_every_certificate_of_a_chain_has_its_status(
    everything: CA, edition: str, suite: str, algorithm: str
) -> None:
    secc = everything.issue("secc", id="DE*ABC*E45B*78C", edition=edition, suite=suite)
    for certificate, issuer in links(everything, secc):
        said = verified(everything.certificate_status(question(certificate, issuer, algorithm)), issuer)
        serial = x509.load_der_x509_certificate(certificate).serial_number
        assert (said.serial_number, said.hash_algorithm.name) == (serial, algorithm.lower())
        assert said.certificate_status is ocsp.OCSPCertStatus.GOOD


#: How stacks write what cryptography says in lower-case hex.
SPELLINGS: dict[str, Callable[[HashData], HashData]] = {
    "OCPP 2.0.1": lambda data: data,
    "upper case": lambda data: {**data, **{name: str(data[name]).upper() for name in data if name != "responderURL"}},
    "serial with zeros and prefix": lambda data: {**data, "serialNumber": f"0x00{data['serialNumber']}"},
    "serial with colons": lambda data: {**data, "serialNumber": colons(str(data["serialNumber"]))},
    "serial as a JSON number": lambda data: {**data, "serialNumber": int(str(data["serialNumber"]), 16)},
    "names of the Python package ocpp": lambda data: dict(zip(SNAKE, data.values(), strict=True)),
    "EcoG": lambda data: ecog(data, base64.urlsafe_b64encode),
    "EcoG in plain base64": lambda data: ecog(data, base64.b64encode),
    "without responderURL": lambda data: {name: value for name, value in data.items() if name != "responderURL"},
}
SNAKE = ("hash_algorithm", "issuer_name_hash", "issuer_key_hash", "serial_number", "responder_url")


def colons(text: str) -> str:
    even = text.rjust(len(text) + len(text) % 2, "0")
    return ":".join(even[at : at + 2] for at in range(0, len(even), 2))


def ecog(data: HashData, encode: Callable[[bytes], bytes]) -> HashData:
    name, key = (encode(bytes.fromhex(str(data[field]))).decode() for field in ("issuerNameHash", "issuerKeyHash"))
    values = (data["hashAlgorithm"], name, key, str(int(str(data["serialNumber"]), 16)), URL)
    return dict(zip(SNAKE, values, strict=True))


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_spelling_of_a_stack_is_answered(iso2: CA, spelling: str, algorithm: str) -> None:
    leaf, issuer = links(iso2, iso2.issue("contract", id="DEABCC12345678"))[0]
    asked = SPELLINGS[spelling](question(leaf, issuer, algorithm))
    said = verified(iso2.certificate_status(asked), issuer)
    assert said.serial_number == x509.load_der_x509_certificate(leaf).serial_number
    assert said.certificate_status is ocsp.OCSPCertStatus.GOOD


def test_revoked_and_never_issued(iso2: CA) -> None:
    leaf, issuer = links(iso2, secc := iso2.issue("secc", id="DE*ABC*E1", edition="iso15118-2"))[0]
    asked = question(leaf, issuer, "SHA256")
    assert verified(iso2.certificate_status(asked), issuer).certificate_status is ocsp.OCSPCertStatus.GOOD
    iso2.revoke(f"{secc.record.serial:x}", "superseded")
    said = verified(iso2.certificate_status(asked), issuer)
    assert said.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert (said.revocation_time_utc, said.revocation_reason) == (BIRTH, x509.ReasonFlags.superseded)
    said = verified(iso2.certificate_status({**asked, "serialNumber": "55"}), issuer)
    assert (said.serial_number, said.certificate_status) == (0x55, ocsp.OCSPCertStatus.UNKNOWN)


def test_another_process_revokes(iso2: CA) -> None:
    leaf, issuer = links(iso2, secc := iso2.issue("secc", id="DE*ABC*E1", edition="iso15118-2"))[0]
    asked = question(leaf, issuer, "SHA256")
    assert verified(iso2.certificate_status(asked), issuer).certificate_status is ocsp.OCSPCertStatus.GOOD
    with v2gpki.open_authority(iso2.home, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(BIRTH)) as other:
        other.revoke(f"{secc.record.serial:x}")
    assert verified(iso2.certificate_status(asked), issuer).certificate_status is ocsp.OCSPCertStatus.REVOKED


def test_what_has_no_status(iso2: CA, everything: CA) -> None:
    leaf, issuer = links(everything, everything.issue("secc", id="DE*ABC*E1", edition="iso15118-2"))[0]
    with pytest.raises(V2GPKIError) as caught:
        iso2.certificate_status(question(leaf, issuer, "SHA256"))
    assert caught.value.code == "ocsp.unauthorized"
    with pytest.raises(V2GPKIError) as caught:
        iso2.certificate_status({**question(leaf, issuer, "SHA256"), "hashAlgorithm": "SHA1"})
    assert (caught.value.code, caught.value.facts["field"]) == ("ocsp.bad_hash_data", "hashAlgorithm")


@pytest.fixture
def locked(iso2: CA) -> Iterator[CA]:
    """The same home, opened without its passphrase."""
    with v2gpki.open_authority(iso2.home, clock=v2gpki.FixedClock(BIRTH)) as ca:
        yield ca


def test_a_locked_home_cannot_say_but_knows_its_roots(iso2: CA, locked: CA) -> None:
    secc = iso2.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    asked = locked.hash_data(secc.chain)[0]
    with pytest.raises(V2GPKIError) as caught:
        locked.certificate_status(asked)
    assert caught.value.code == "ocsp.try_later"
    assert iso2.certificate_status(asked)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("edition", "suite"), FAMILIES)
def test_the_homes_root_completes_a_chain(everything: CA, edition: str, suite: str, algorithm: str) -> None:
    secc = everything.issue("secc", id="DE*ABC*E45B*78C", edition=edition, suite=suite)
    expected = [question(*link, algorithm) for link in links(everything, secc)]
    assert everything.hash_data(secc.chain, algorithm=algorithm) == expected
    # in any container and order, and a leaf alone
    assert everything.hash_data(pem(secc.chain[::-1]), algorithm=algorithm) == expected
    assert everything.hash_data(secc.chain[0], algorithm=algorithm) == expected[:1]
    entries = everything.hash_data(secc.chain, algorithm=algorithm, encoding="ecog", responder_url="http://127.0.0.1/x")
    assert entries == [ecog(one, base64.urlsafe_b64encode) for one in expected]
    for entry in entries:
        assert everything.certificate_status(entry)
    bare = everything.issue("secc", id="DE*ABC*E1", edition=edition, suite=suite, options={"aia": "off"})
    (_, *above), found = expected, everything.hash_data(bare.chain, algorithm=algorithm, responder_url="http://x/")
    assert (found[0]["responderURL"], found[1:]) == ("http://x/", above)


def test_a_root_of_the_pool_completes_a_chain(iso2: CA, opened: Callable[[Path], CA], home_all: Path) -> None:
    foreign = opened(home_all)
    assert isinstance(foreign.clock, v2gpki.FixedClock)
    secc = foreign.issue("secc", id="DE*OTH*E1", edition="iso15118-2")
    with pytest.raises(V2GPKIError) as caught:
        iso2.hash_data(secc.chain)
    assert caught.value.code == "ocsp.issuer_missing"
    root = foreign.authority(secc.record.issuer_id).chain[-1]
    iso2.plug_and_charge.roots.add(root, role="v2g-root", at=BIRTH + timedelta(seconds=1), caller="test")
    found = iso2.hash_data(secc.chain)
    # RFC 6960 4.1.1: the hash of the issuer's DER name
    subject = x509.load_der_x509_certificate(root).subject.public_bytes()
    assert found[2]["issuerNameHash"] == new_hash("sha256", subject).hexdigest()
    assert found == [question(*link, "SHA256") for link in links(foreign, secc)]
