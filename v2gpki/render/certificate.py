"""One certificate for people: every field and extension as (label, text) in the certificate's order.

It shows what is there and judges nothing. Unknown extensions appear with their OID and octets, broken
ones end in ``chain.malformed`` where the certificate is read. Source: RFC 5280 4.1, 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from v2gpki.certs.view import CertificateView, view
from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import suite_of_spki
from v2gpki.render.text import printable

#: Names of signature algorithms and extended key usages by OID; any other is shown as its OID.
ALGORITHMS = {
    "1.2.840.10045.4.3.2": "ECDSA with SHA-256",
    "1.2.840.10045.4.3.3": "ECDSA with SHA-384",
    "1.2.840.10045.4.3.4": "ECDSA with SHA-512",
    "1.3.101.113": "Ed448",
}
USAGES = {
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
}


class Field(NamedTuple):
    """One line: what it is, and what it says (already printable); ``critical`` marks an extension."""

    label: str
    text: str
    critical: bool = False


def certificate_fields(der: bytes) -> list[Field]:
    """Every field of a DER certificate; raises ``chain.malformed`` when it cannot be read."""
    certificate = view(der)
    fields = [
        ("subject", certificate.subject_text),
        ("issuer", "the subject itself" if certificate.self_issued else certificate.issuer_text),
        ("serial", f"{certificate.serial:x}"),
        ("valid", f"{rfc3339(certificate.not_before)} to {rfc3339(certificate.not_after)}"),
        ("key", _key(certificate)),
        ("signature", _algorithm(certificate)),
        ("fingerprint", f"SHA-256 {certificate.fingerprint.hex()}"),
        ("size", f"{len(der)} octets"),
    ]
    shown = [Field(label, printable(text).replace("\n", "\\n")) for label, text in fields]
    return shown + [_extension(extension) for extension in certificate.extensions]


def certificate_text(der: bytes) -> str:
    """The same as aligned lines; critical extensions are marked."""
    fields = certificate_fields(der)
    width = max(len(field.label) for field in fields)
    return "\n".join(
        f"{field.label:<{width}}  {'critical, ' if field.critical else ''}{field.text}" for field in fields
    )


def _key(certificate: CertificateView) -> str:
    spki = certificate.x509.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        return suite_of_spki(spki).title
    except V2GPKIError as problem:
        return str(problem.facts.get("found", "a key that is not used in ISO 15118"))


def _algorithm(certificate: CertificateView) -> str:
    oid = certificate.x509.signature_algorithm_oid.dotted_string
    return ALGORITHMS.get(oid, oid)


def _extension(extension: x509.Extension[x509.ExtensionType]) -> Field:
    value = extension.value
    oid = extension.oid.dotted_string
    for kind, (label, words) in _SHOWN.items():
        if isinstance(value, kind):
            return Field(label, printable(words(value)).replace("\n", "\\n"), extension.critical)
    octets = value.value.hex() if isinstance(value, x509.UnrecognizedExtension) else type(value).__name__
    return Field(oid, octets, extension.critical)


def _constraints(value: x509.ExtensionType) -> str:
    assert isinstance(value, x509.BasicConstraints)
    limit = "" if value.path_length is None else f", path length {value.path_length}"
    return f"CA{limit}" if value.ca else f"not a CA{limit}"


def _usage(value: x509.ExtensionType) -> str:
    assert isinstance(value, x509.KeyUsage)
    bits = {
        "digitalSignature": value.digital_signature,
        "nonRepudiation": value.content_commitment,
        "keyEncipherment": value.key_encipherment,
        "dataEncipherment": value.data_encipherment,
        "keyAgreement": value.key_agreement,
        "keyCertSign": value.key_cert_sign,
        "cRLSign": value.crl_sign,
        "encipherOnly": value.key_agreement and value.encipher_only,
        "decipherOnly": value.key_agreement and value.decipher_only,
    }
    return ", ".join(name for name, given in bits.items() if given)


def _extended(value: x509.ExtensionType) -> str:
    assert isinstance(value, x509.ExtendedKeyUsage)
    return ", ".join(USAGES.get(oid.dotted_string, oid.dotted_string) for oid in value)


def _own(value: x509.ExtensionType) -> str:
    assert isinstance(value, x509.SubjectKeyIdentifier)
    return value.digest.hex()


def _authority(value: x509.ExtensionType) -> str:
    assert isinstance(value, x509.AuthorityKeyIdentifier)
    parts = [value.key_identifier.hex()] if value.key_identifier else []
    parts += [_general(name) for name in value.authority_cert_issuer or ()]
    if value.authority_cert_serial_number is not None:
        parts.append(f"serial {value.authority_cert_serial_number:x}")
    return ", ".join(parts)


def _access(value: x509.ExtensionType) -> str:
    assert isinstance(value, x509.AuthorityInformationAccess)
    names = {"1.3.6.1.5.5.7.48.1": "OCSP", "1.3.6.1.5.5.7.48.2": "CA issuers"}
    return ", ".join(
        f"{names.get(item.access_method.dotted_string, item.access_method.dotted_string)} "
        f"{_general(item.access_location)}"
        for item in value
    )


def _points(value: x509.ExtensionType) -> str:
    assert isinstance(value, x509.CRLDistributionPoints)
    return ", ".join(_general(name) for point in value for name in point.full_name or ())


def _policies(value: x509.ExtensionType) -> str:
    assert isinstance(value, x509.CertificatePolicies)
    return ", ".join(policy.policy_identifier.dotted_string for policy in value)


def _alternative(value: x509.ExtensionType) -> str:
    assert isinstance(value, x509.SubjectAlternativeName)
    return ", ".join(_general(name) for name in value)


def _nocheck(_value: x509.ExtensionType) -> str:
    return "yes"


def _general(name: x509.GeneralName) -> str:
    if isinstance(name, x509.DirectoryName):
        return name.value.rfc4514_string()
    return str(name.value)


_SHOWN: Mapping[type[x509.ExtensionType], tuple[str, Callable[[x509.ExtensionType], str]]] = {
    x509.BasicConstraints: ("basic constraints", _constraints),
    x509.KeyUsage: ("key usage", _usage),
    x509.ExtendedKeyUsage: ("extended key usage", _extended),
    x509.SubjectKeyIdentifier: ("subject key id", _own),
    x509.AuthorityKeyIdentifier: ("authority key id", _authority),
    x509.AuthorityInformationAccess: ("authority access", _access),
    x509.CRLDistributionPoints: ("CRL", _points),
    x509.CertificatePolicies: ("policies", _policies),
    x509.SubjectAlternativeName: ("alternative names", _alternative),
    x509.OCSPNoCheck: ("OCSP no check", _nocheck),
}
