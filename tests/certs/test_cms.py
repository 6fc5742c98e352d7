"""Certs-only CMS: the order is kept, and what other programs write is read."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable

import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given
from hypothesis import strategies as st

from v2gpki import CertificateAuthority, V2GPKIError
from v2gpki.certs import der
from v2gpki.certs.cms import certs_only, load_certs_only


@pytest.fixture
def chain(iso2: CertificateAuthority) -> list[bytes]:
    issuer = iso2.authority("iso2-cpo-sub-ca-2")
    return [issuer.der, *issuer.chain]


def test_other_libraries_read_what_is_written(chain: list[bytes]) -> None:
    for order in (chain, chain[::-1], chain[:1]):
        written = certs_only(order)
        content = cms.ContentInfo.load(written, strict=True)["content"]
        assert [one.chosen.dump() for one in content["certificates"]] == order
        assert len(content["signer_infos"]) == 0
        assert load_certs_only(written) == order


def test_the_octets_are_in_the_given_order(chain: list[bytes]) -> None:
    written = certs_only(chain)
    places = [written.index(one) for one in chain]
    assert places == sorted(places)


@pytest.mark.parametrize("size", [0, 1, 60, 100, 127, 128, 200, 255, 256, 300, 65_500, 65_535, 65_536, 70_000])
def test_lengths_of_every_form(size: int) -> None:
    """X.690 8.1.3: one octet, or up to three behind a count, of each of the five values around the certificates."""
    certificate = bytes((0x30, 0x83)) + size.to_bytes(3, "big") + bytes(size)
    written = certs_only([certificate])
    assert certs_only([certificate]) == written
    assert load_certs_only(written) == [certificate]
    at, ends = 0, []
    for tag in (0x30, 0xA0, 0x30, 0xA0):
        while written[at] != tag:
            at += 2 + written[at + 1]
        octets = written[at + 1] - 0x80 if written[at + 1] > 0x80 else 0
        length = int.from_bytes(written[at + 2 : at + 2 + octets], "big") if octets else written[at + 1]
        assert octets == (0 if length < 128 else (length.bit_length() + 7) // 8)
        at += 2 + octets
        ends.append(at + length)
    assert ends == [len(written)] * 3 + [len(written) - 2]
    assert written[at:] == certificate + b"\x31\x00"


def test_what_another_library_writes_is_read(chain: list[bytes]) -> None:
    certificates = [x509.load_der_x509_certificate(one) for one in chain]
    for encoding in (Encoding.DER, Encoding.PEM):
        assert set(load_certs_only(pkcs7.serialize_certificates(certificates, encoding))) == set(chain)


def indefinite(tag: int, content: bytes) -> bytes:
    """A constructed value of indefinite length: X.690 8.1.3.6."""
    return bytes((tag, 0x80)) + content + b"\x00\x00"


def ber_form(certificates: list[bytes], wrap: Callable[[int, bytes], bytes]) -> bytes:
    body = wrap(
        0x30,
        der.integer(1)
        + wrap(0x31, b"")
        + wrap(0x30, der.oid("1.2.840.113549.1.7.1"))
        + wrap(0xA0, b"".join(certificates))
        + wrap(0x31, b""),
    )
    return wrap(0x30, der.oid("1.2.840.113549.1.7.2") + wrap(0xA0, body))


def long_form(tag: int, content: bytes) -> bytes:
    """A length in four octets more than are needed."""
    return bytes((tag, 0x84)) + len(content).to_bytes(4, "big") + content


@pytest.mark.parametrize("wrap", [indefinite, long_form, der.tlv])
def test_ber_is_read(chain: list[bytes], wrap: Callable[[int, bytes], bytes]) -> None:
    assert load_certs_only(ber_form(chain, wrap)) == chain


def test_every_armour_is_read(chain: list[bytes]) -> None:
    written = certs_only(chain)
    one_line = base64.b64encode(written)
    wrapped = base64.encodebytes(written)
    pem = b"-----BEGIN PKCS7-----\n" + wrapped + b"-----END PKCS7-----\n"
    for form in (written, one_line, one_line + b"\n", wrapped, wrapped.replace(b"\n", b"\r\n"), pem):
        assert load_certs_only(form) == chain


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "cms.malformed"),
        (b"no base64!", "cms.malformed"),
        (b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "cms.malformed"),
        (bytes.fromhex("3003020101"), "cms.malformed"),
        (certs_only([b"\x30\x00"]) + b"\x00", "cms.malformed"),
        (certs_only([b"\x30\x00"]).replace(bytes.fromhex("010702"), bytes.fromhex("010703")), "cms.malformed"),
        (certs_only([]), "cms.empty"),
        (b"\x30\x80" * 100, "cms.malformed"),
        (b"\x30\x80" + b"\x24\x80" * 50 + b"\x00\x00" * 51, "cms.malformed"),
        (b"\x04\x80\x00\x00", "cms.malformed"),
    ],
)
def test_what_is_no_cms_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(V2GPKIError) as refusal:
        load_certs_only(data)
    assert refusal.value.code == code


@given(st.binary(max_size=200), st.integers(0, 60))
def test_no_octets_break_the_reader(noise: bytes, at: int) -> None:
    good = certs_only([b"\x30\x03\x02\x01\x01"])
    for data in (b"\x30" + noise, good[:at] + noise, good[:at] + noise[:1] + good[at + 1 :]):
        with contextlib.suppress(V2GPKIError):
            assert load_certs_only(data)
