"""Requests: read as cryptography and OpenSSL's shapes have them; anything else is malformed, and nothing crashes."""

from __future__ import annotations

import hashlib

import pytest
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from tests.chains.mint import certificate
from v2gpki.certs.ocsp import HASHES, IssuerName
from v2gpki.certs.ocsp_request import OcspRequest, read_request, write_request
from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError

LEAF = x509.load_der_x509_certificate(certificate("secc"))
ISSUER = x509.load_der_x509_certificate(certificate("cpo2"))
BUILDERS: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def built(name: str = "sha256", nonce: bytes | None = None, critical: bool = False) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(LEAF, ISSUER, BUILDERS[name])
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical)
    return builder.build().public_bytes(Encoding.DER)


def locator(*, critical: bool = False) -> dict[str, object]:
    """A ServiceLocator, the one extension that RFC 6960 4.4.6 has for a single request."""
    name = asn1_x509.Name.build({"common_name": "an issuer"})
    return {"extn_id": "service_locator", "critical": critical, "extn_value": {"issuer": name, "locator": []}}


def issuer() -> IssuerName:
    parent = view(certificate("cpo2"))
    return IssuerName(parent.subject, parent.spki)


def refused(data: bytes) -> str:
    with pytest.raises(V2GPKIError) as caught:
        read_request(data)
    assert caught.value.code == "ocsp.malformed_request"
    return caught.value.message


@pytest.mark.parametrize("name", HASHES)
def test_the_librarys_requests_are_read_and_written_octet_by_octet(name: str) -> None:
    data = built(name)
    asked = read_request(data)
    theirs = ocsp.load_der_ocsp_request(data)
    assert asked.hash_name == name == theirs.hash_algorithm.name
    assert asked.key == theirs.issuer_name_hash + theirs.issuer_key_hash
    assert asked.serial == theirs.serial_number == LEAF.serial_number
    assert asked.nonce is None
    assert asked.cert_id in data
    assert issuer().cert_id(name, LEAF.serial_number) == asked.cert_id
    assert issuer().keys[name] == asked.key
    assert write_request(asked.cert_id) == data


@pytest.mark.parametrize("size", [1, 16, 32, 128])
def test_a_nonce_of_1_to_128_octets_is_read(size: int) -> None:
    nonce = bytes(range(size))
    data = built(nonce=nonce)
    assert read_request(data).nonce == nonce
    assert write_request(read_request(data).cert_id, nonce) == data
    # a nonce that is marked critical is understood all the same
    assert read_request(built(nonce=nonce, critical=True)).nonce == nonce


@pytest.mark.parametrize("size", [0, 129, 200])
def test_other_nonces_are_malformed(size: int) -> None:
    """RFC 9654 2.1: no octet, or more than 128."""
    request = asn1_ocsp.OCSPRequest.load(built())
    request["tbs_request"]["request_extensions"] = [{"extn_id": "nonce", "extn_value": bytes(size)}]
    assert f"its nonce has {size} octets" in refused(request.dump(force=True))


def test_a_raw_nonce_is_malformed() -> None:
    """Before RFC 8954 some clients put the octets there without an OCTET STRING around them."""
    data = built(nonce=b"\x04\x03abc")
    wrapped = b"\x04\x07\x04\x05\x04\x03abc"
    assert data.count(wrapped) == 1
    assert "OCTET STRING" in refused(data.replace(wrapped, b"\x04\x07\x05\x05\x04\x03abc"))


def test_several_certificates_are_malformed() -> None:
    request = asn1_ocsp.OCSPRequest.load(built())
    request["tbs_request"]["request_list"].append(request["tbs_request"]["request_list"][0])
    assert "several certificates" in refused(request.dump(force=True))
    del request["tbs_request"]["request_list"][0]
    del request["tbs_request"]["request_list"][0]
    assert "no certificate" in refused(request.dump(force=True))


def test_what_clients_may_add_is_read_over() -> None:
    """Version, requestor's name, a signature with certificates, single extensions that are not critical."""
    request = asn1_ocsp.OCSPRequest.load(built())
    station = asn1_x509.Name.build({"common_name": "a station"})
    request["tbs_request"]["requestor_name"] = asn1_x509.GeneralName("directory_name", station)
    request["tbs_request"]["request_list"][0]["single_request_extensions"] = [locator()]
    request["optional_signature"] = {
        "signature_algorithm": {"algorithm": "sha256_ecdsa"},
        "signature": bytes(70),
        "certs": [],
    }
    assert read_request(request.dump(force=True)) == read_request(built())


def test_an_explicit_version_is_read() -> None:
    data = built()
    tbs = b"\xa0\x03\x02\x01\x00" + data[4:]
    whole = b"\x30" + bytes((len(tbs),)) + tbs
    assert read_request(b"\x30" + bytes((len(whole),)) + whole).serial == LEAF.serial_number
    wrong = whole.replace(b"\x02\x01\x00", b"\x02\x01\x01", 1)
    assert "version" in refused(b"\x30" + bytes((len(wrong),)) + wrong)


def test_unknown_critical_extensions_are_refused() -> None:
    for place in ("request_extensions", "single"):
        request = asn1_ocsp.OCSPRequest.load(built())
        extension = [{"extn_id": "preferred_signature_algorithms", "critical": True, "extn_value": []}]
        if place == "single":
            request["tbs_request"]["request_list"][0]["single_request_extensions"] = [locator(critical=True)]
        else:
            request["tbs_request"]["request_extensions"] = extension
        assert "critical" in refused(request.dump(force=True)), place


def test_absent_parameters_are_repeated_and_others_refused() -> None:
    """RFC 5754 2: with SHA-2 the parameters may be absent; the answer repeats the CertID as it came."""
    oid = HASHES["sha256"]
    data = built()
    short = data.replace(b"\x30\x0d" + oid + b"\x05\x00", b"\x30\x0b" + oid)
    short = b"".join(bytes((0x30, size - 2)) for size in data[1:10:2]) + short[10:]
    asked = read_request(short)
    assert (asked.hash_name, asked.serial) == ("sha256", LEAF.serial_number)
    assert b"\x05\x00" not in asked.cert_id
    assert "parameters" in refused(data.replace(oid + b"\x05\x00", oid + b"\x04\x00"))


def test_an_unknown_algorithm_is_read_without_a_name() -> None:
    md5 = bytes.fromhex("06082a864886f70d0205")
    name = hashlib.md5(b"", usedforsecurity=False).digest()
    content = b"\x30\x0c" + md5 + b"\x05\x00" + (b"\x04\x10" + name) * 2 + b"\x02\x01\x05"
    asked = read_request(write_request(b"\x30" + bytes((len(content),)) + content))
    assert (asked.hash_name, asked.serial) == ("", 5)


@pytest.mark.parametrize(
    ("serial", "reason"),
    [
        (b"\x02\x00", "0 octets"),
        (b"\x02\x02\x00\x05", "shortest form"),
        (b"\x02\x02\xff\x85", "shortest form"),
        (b"\x02\x41" + b"\x55" * 65, "65 octets"),
    ],
)
def test_serial_numbers_that_are_none(serial: bytes, reason: str) -> None:
    start = issuer().cert_id("sha1", 5)[2:-3]
    content = start + serial
    cert_id = b"\x30" + (b"" if len(content) < 128 else b"\x81") + bytes((len(content),)) + content
    assert reason in refused(write_request(cert_id))


def test_hashes_of_another_length_are_refused() -> None:
    data = issuer().cert_id("sha1", 5)
    name = b"\x04\x14" + issuer().name_hash("sha1")
    content = data[2:].replace(name, b"\x04\x13" + name[3:])
    assert "another length" in refused(write_request(b"\x30" + bytes((len(content),)) + content))


def test_trailing_and_missing_octets_are_refused() -> None:
    data = built(nonce=b"1" * 32)
    assert "1 octets follow" in refused(data + b"\n")
    for size in range(len(data)):
        refused(data[:size])


def test_a_negative_serial_is_read_as_one() -> None:
    assert read_request(write_request(issuer().cert_id("sha1", -5))).serial == -5


def attempt(data: bytes) -> OcspRequest | str:
    """What is read, or the code of the refusal."""
    try:
        return read_request(data)
    except V2GPKIError as refusal:
        return refusal.code


@given(st.binary(max_size=300))
def test_any_octets_are_malformed_or_read(data: bytes) -> None:
    assert isinstance(attempt(data), OcspRequest | str)


@given(st.data(), st.sampled_from(sorted(HASHES)))
def test_a_damaged_request_is_malformed_or_read(data: st.DataObject, name: str) -> None:
    octets = bytearray(built(name, nonce=b"n" * 16))
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    asked = attempt(bytes(octets))
    # What we read, we can repeat.
    if isinstance(asked, OcspRequest):
        assert read_request(write_request(asked.cert_id)).cert_id == asked.cert_id
    else:
        assert asked == "ocsp.malformed_request"


def test_a_nonce_to_be_written_has_the_right_size() -> None:
    for size in (0, 129):
        with pytest.raises(ValueError, match="1 to 128"):
            write_request(issuer().cert_id("sha1", 5), bytes(size))
