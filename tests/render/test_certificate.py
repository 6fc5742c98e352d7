"""The view of one certificate: each field beside what ``cryptography``'s builder was told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from v2gpki.errors import V2GPKIError
from v2gpki.render.certificate import certificate_fields, certificate_text

KEY = ec.derive_private_key(0x1234, ec.SECP256R1())


def certificate(name: str = "SECC", *, curve: ec.EllipticCurve | None = None) -> bytes:
    key = KEY if curve is None else ec.derive_private_key(0x1234, curve)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Sub-CA 2")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(0x40FF)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2026, 4, 1, tzinfo=UTC))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=True,
                key_cert_sign=False,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier(b"\x01" * 20), critical=False)
        .add_extension(
            x509.AuthorityInformationAccess(
                [
                    x509.AccessDescription(
                        x509.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://ocsp.example/")
                    )
                ]
            ),
            critical=False,
        )
        .add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), critical=False)
    )
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def test_every_field_is_shown() -> None:
    der = certificate()
    shown = {field.label: (field.text, field.critical) for field in certificate_fields(der)}
    expected = {
        "subject": "CN=SECC",
        "issuer": "CN=Sub-CA 2",
        "serial": "40ff",
        "valid": "2026-01-01T00:00:00Z to 2026-04-01T00:00:00Z",
        "key": "ECDSA P-256, SHA-256",
        "signature": "ECDSA with SHA-256",
        "size": f"{len(der)} octets",
        "subject key id": "01" * 20,
        "authority access": "OCSP http://ocsp.example/",
        "1.2.3.4": "0500",
    }
    for label, text in expected.items():
        assert shown[label] == (text, False)
    assert shown["basic constraints"] == ("CA, path length 0", True)
    assert shown["key usage"] == ("digitalSignature, keyAgreement", True)
    assert "key usage          critical, digitalSignature, keyAgreement" in certificate_text(der).splitlines()


def test_a_foreign_curve_is_shown_and_not_refused() -> None:
    shown = {field.label: field.text for field in certificate_fields(certificate(curve=ec.SECP384R1()))}
    assert "secp384r1" in shown["key"]


def test_a_hostile_name_cannot_move_the_terminal() -> None:
    text = certificate_text(certificate("evil\x1b[2J\u202e"))
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_broken_certificate_is_refused() -> None:
    with pytest.raises(V2GPKIError) as caught:
        certificate_fields(b"\x30\x03\x02\x01\x01")
    assert caught.value.code == "chain.malformed"
