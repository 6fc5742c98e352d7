"""OCSP request data in every stack's encoding, held against cryptography's CertIDs; and read back from all of them."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

import v2gpki
from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.ocpp.hash_data import HashData, hash_data, ocsp_url, read_hash_data

CA = v2gpki.CertificateAuthority
URL = "http://127.0.0.1:8080/ocsp"
DIGESTS = {"SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA512": hashes.SHA512()}


def chain_of(ca: CA, edition: str = "iso15118-2", suite: str | None = None) -> tuple[list[bytes], bytes]:
    issued = ca.issue("secc", id="DE*ABC*E45B*78C", edition=edition, suite=suite)
    return list(issued.chain), ca.authority(issued.record.issuer_id).chain[-1]


def library(certificate: bytes, issuer: bytes, algorithm: str) -> ocsp.OCSPRequest:
    child, parent = (x509.load_der_x509_certificate(der) for der in (certificate, issuer))
    return ocsp.OCSPRequestBuilder().add_certificate(child, parent, DIGESTS[algorithm]).build()


@pytest.mark.parametrize("algorithm", DIGESTS)
@pytest.mark.parametrize("encoding", ["ocpp", "everest", "maeve"])
def test_a_chain_in_ocpps_form(iso2: CA, algorithm: str, encoding: str) -> None:
    chain, root = chain_of(iso2)
    found = hash_data(chain, anchors=[root], algorithm=algorithm, encoding=encoding)  # type: ignore[arg-type]  # Literal
    expected = []
    for certificate, issuer in zip(chain, [*chain[1:], root], strict=True):
        asked = library(certificate, issuer, algorithm)
        expected.append(
            {
                "hashAlgorithm": algorithm,
                "issuerNameHash": asked.issuer_name_hash.hex(),
                "issuerKeyHash": asked.issuer_key_hash.hex(),
                "serialNumber": f"{asked.serial_number:x}",
                "responderURL": URL,
            }
        )
    assert found == expected
    for entry in found:
        # OCPP 2.0.1 OCSPRequestDataType: 128, 128, 40, 512
        sizes = {"issuerNameHash": 128, "issuerKeyHash": 128, "serialNumber": 40, "responderURL": 512}
        assert all(len(entry[name]) <= most for name, most in sizes.items())


def test_any_order_and_the_root_among_them(iso2: CA) -> None:
    chain, root = chain_of(iso2)
    wanted = hash_data(chain, anchors=[root])
    assert hash_data([root, chain[1], chain[0], chain[2], chain[0]]) == wanted


def test_a_leaf_that_follows_stands_beside_the_one_in_use(iso2: CA) -> None:
    chain, root = chain_of(iso2)
    later, _ = chain_of(iso2)
    found = hash_data([*chain, later[0]], anchors=[root])
    serials = {f"{view(der).serial:x}" for der in (chain[0], later[0])}
    assert {entry["serialNumber"] for entry in found[:2]} == serials
    assert len(found) == 4


@pytest.mark.parametrize(("suite", "algorithm"), [("p521", "SHA512"), ("ed448", "SHA256")])
def test_ecogs_form(everything: CA, suite: str, algorithm: str) -> None:
    """URL-safe base64, decimal serials, snake_case, the certificate's own hash, the root too (with an address)."""
    chain, root = chain_of(everything, "iso15118-20", suite)
    found = hash_data([*chain, root], encoding="ecog", responder_url=URL)
    assert len(found) == 4
    for entry, certificate, issuer in zip(found, [*chain, root], [*chain[1:], root, root], strict=True):
        asked = library(certificate, issuer, algorithm)
        assert entry == {
            "hash_algorithm": algorithm,
            "issuer_name_hash": base64.urlsafe_b64encode(asked.issuer_name_hash).decode(),
            "issuer_key_hash": base64.urlsafe_b64encode(asked.issuer_key_hash).decode(),
            "serial_number": str(asked.serial_number),
            "responder_url": URL,
        }


def test_without_an_address_there_is_no_entry(iso2: CA) -> None:
    secc = iso2.issue("secc", id="DE*ABC*E1", edition="iso15118-2", options={"aia": "off"})
    root = iso2.authority(secc.record.issuer_id).chain[-1]
    assert ocsp_url(secc.record.der) == ""
    assert len(hash_data(secc.chain, anchors=[root])) == 2
    assert hash_data(secc.chain, anchors=[root], responder_url="http://x/")[0]["responderURL"] == "http://x/"


def test_a_missing_root_is_named(iso2: CA) -> None:
    chain, _ = chain_of(iso2)
    with pytest.raises(V2GPKIError) as caught:
        hash_data(chain)
    assert caught.value.code == "ocsp.issuer_missing"
    assert "V2G Root" in caught.value.message


def test_one_of_the_issuers_name_is_not_the_issuer(iso2: CA) -> None:
    """Several roots may share a name ([V2G2-878]): what keeps the one that is there from being the issuer is said."""
    chain, root = chain_of(iso2)
    key = ec.generate_private_key(ec.SECP256R1())
    name, then = x509.load_der_x509_certificate(root).subject, x509.load_der_x509_certificate(root).not_valid_before_utc
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, then, then + timedelta(days=9))
    other = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    with pytest.raises(V2GPKIError) as caught:
        hash_data(chain, anchors=[other])
    assert caught.value.code == "ocsp.issuer_missing"
    assert caught.value.message.endswith("but one of its name: the signature does not verify with the key of that name")
    assert hash_data(chain, anchors=[other, root]) == hash_data(chain, anchors=[root])


NAME, KEY, SERIAL = bytes(range(32)), bytes(range(32, 64)), 0x0A_BC
PLAIN = HashData("sha256", NAME, KEY, SERIAL, URL)
B64 = base64.b64encode


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.written(),
        PLAIN.written("ecog"),
        {**PLAIN.written(), "issuerNameHash": NAME.hex().upper(), "serialNumber": "ABC"},
        {**PLAIN.written(), "serialNumber": "0abc"},
        {**PLAIN.written(), "serialNumber": "0x0000ABC"},
        {**PLAIN.written(), "serialNumber": "0a:bc"},
        {**PLAIN.written(), "hashAlgorithm": "sha-256"},
        # a JSON number is no hex, although it looks like some
        {**PLAIN.written(), "serialNumber": 2748},
        # the Python package ocpp hands its handlers hex under snake_case names
        dict(zip(PLAIN.written("ecog"), PLAIN.written().values(), strict=True)),
        # base64 of any kind, with and without padding, goes with a decimal serial
        {
            "hashAlgorithm": "SHA256",
            "issuerNameHash": B64(NAME).decode().rstrip("="),
            "issuerKeyHash": base64.urlsafe_b64encode(KEY).decode(),
            "serialNumber": "2748",
            "responderURL": URL,
        },
    ],
)
def test_every_encoding_is_read(data: dict[str, object]) -> None:
    assert read_hash_data(data) == PLAIN


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"hashAlgorithm": "SHA1"}, "hashAlgorithm"),
        ({"hashAlgorithm": None}, "hashAlgorithm"),
        ({"issuerNameHash": NAME.hex()[:-2]}, "issuerNameHash"),
        ({"issuerNameHash": "zz" * 32}, "issuerNameHash"),
        ({"issuerKeyHash": ""}, "issuerKeyHash"),
        ({"issuerKeyHash": "é" * 44}, "issuerKeyHash"),
        ({"serialNumber": ""}, "serialNumber"),
        ({"serialNumber": "xyz"}, "serialNumber"),
        ({"serialNumber": "-5"}, "serialNumber"),
        ({"serialNumber": "f" * 193}, "serialNumber"),
        ({"serialNumber": "f" * 130}, "serialNumber"),
        ({"issuerKeyHash": B64(KEY).decode(), "serialNumber": "abc"}, "serialNumber"),
        ({"issuerKeyHash": B64(KEY).decode(), "serialNumber": "\u0661"}, "serialNumber"),
    ],
)
def test_what_is_no_hash_data_is_refused_by_its_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(V2GPKIError) as caught:
        read_hash_data({**PLAIN.written(), **change})
    assert caught.value.code == "ocsp.bad_hash_data"
    assert caught.value.facts["field"] == field


@given(
    st.sampled_from(["sha256", "sha384", "sha512"]),
    st.binary(min_size=64, max_size=64),
    st.integers(0, 2**160 - 1),
    st.sampled_from(["ocpp", "ecog"]),
)
def test_what_is_written_is_read(hash_name: str, octets: bytes, serial: int, encoding: str) -> None:
    size = int(hash_name[3:]) // 8
    entry = HashData(hash_name, octets[:size], octets[::-1][:size], serial, URL)
    assert read_hash_data(entry.written(encoding)) == entry  # type: ignore[arg-type]  # Literal


FIELDS = st.sampled_from([*PLAIN.written(), *PLAIN.written("ecog")])


@given(st.dictionaries(FIELDS, st.text() | st.integers() | st.none()))
def test_anything_else_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(V2GPKIError) as caught:
        read_hash_data(data)
    assert caught.value.code == "ocsp.bad_hash_data"


def test_the_cert_id_is_the_librarys(iso2: CA) -> None:
    from v2gpki.certs.ocsp_request import read_request, write_request

    chain, root = chain_of(iso2)
    for entry in hash_data(chain, anchors=[root], algorithm="SHA512"):
        read = read_hash_data(entry)
        asked = read_request(write_request(read.cert_id))
        assert (asked.hash_name, asked.key, asked.serial) == (
            "sha512",
            read.issuer_name_hash + read.issuer_key_hash,
            read.serial,
        )
