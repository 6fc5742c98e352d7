"""Mints the certificates, CRLs and OCSP responses that ``cases.toml`` describes, with ``cryptography``'s builders.

It shares no line with our own templates: an independent origin. Keys come from labels (SHAKE-256), times from
the file, ECDSA signatures are deterministic, so each run gives the same bytes. Descriptions inherit by ``from``.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x448
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID, ObjectIdentifier

CASES = Path(__file__).with_name("cases.toml")

_TYPES = {
    "CN": NameOID.COMMON_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "C": NameOID.COUNTRY_NAME,
    "DC": NameOID.DOMAIN_COMPONENT,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
}
_CURVES: dict[str, tuple[type[ec.EllipticCurve], type[hashes.HashAlgorithm]]] = {
    "p256": (ec.SECP256R1, hashes.SHA256),
    "p384": (ec.SECP384R1, hashes.SHA384),
    "p521": (ec.SECP521R1, hashes.SHA512),
}
_BITS = {
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
}
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


@dataclass(frozen=True)
class Case:
    """One row of the corpus."""

    name: str
    rows: tuple[int, ...]
    drawing: str
    clause: str
    chain: tuple[str, ...]
    anchors: tuple[str, ...]
    at: datetime
    path: str
    all: tuple[str, ...]
    crls: tuple[str, ...]
    ocsps: tuple[str, ...]
    require_evidence: bool
    ordered: bool
    role: str
    edition: str
    verdict: str
    iso2: str
    iso20: str
    ocpp: str
    states: tuple[str, ...]
    openssl: str
    note: str


@cache
def corpus() -> dict[str, dict[str, dict[str, object]]]:
    """The whole file."""
    return tomllib.loads(CASES.read_text(encoding="utf-8"))


def cases() -> list[Case]:
    """All cases, in file order."""
    data = corpus()
    defaults = data["defaults"]
    rows = []
    for name, row in data["case"].items():
        merged = {**defaults, **row}
        rows.append(
            Case(
                name=name,
                **{
                    field: tuple(value) if isinstance(value, list) else value
                    for field, value in merged.items()
                },
            )
        )
    return rows


@cache
def described(name: str) -> dict[str, object]:
    """One certificate's description, with what it inherits."""
    table = dict(corpus()["certificate"][name])
    parent = table.pop("from", None)
    return {**described(str(parent)), **table} if parent else table


def private_key(label: str, suite: str) -> ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey | x448.X448PrivateKey:
    """The private key of a label: always the same one."""
    seed = hashlib.shake_256(f"v2gpki chain corpus {suite} {label}".encode()).digest(80)
    if suite == "ed448":
        return ed448.Ed448PrivateKey.from_private_bytes(seed[:57])
    if suite == "x448":
        return x448.X448PrivateKey.from_private_bytes(seed[:56])
    curve = _CURVES[suite][0]()
    size = (curve.key_size + 7) // 8
    scalar = int.from_bytes(seed[:size], "big") % (2 ** (curve.key_size - 1)) + 1
    return ec.derive_private_key(scalar, curve)


def _public_key(label: str, suite: str) -> object:
    if suite.startswith("rsa"):
        # No key pair is needed for a key that only gets certified: any odd number of that size will do.
        bits = int(suite[3:])
        number = int.from_bytes(hashlib.shake_256(label.encode()).digest(bits // 8), "big")
        return rsa.RSAPublicNumbers(65537, number | 1 << (bits - 1) | 1).public_key()
    return private_key(label, suite).public_key()


@cache
def certificate(name: str) -> bytes:
    """The DER certificate of that name in ``cases.toml``."""
    wanted = described(name)
    flaws = wanted.get("octets", {})
    der = _build(name, wanted).public_bytes(serialization.Encoding.DER)
    assert isinstance(flaws, dict)
    if "flip" in flaws:
        # The last octet of the signature, one bit.
        der = _flipped(der, len(der) - 1)
    if "outer" in flaws:
        # The second of the two places that name the signature algorithm: behind the TBSCertificate.
        old, new = (bytes.fromhex(text) for text in flaws["outer"])
        head, tail = der.rsplit(old, 1)
        der = head + new + tail
    if "sha1" in flaws:
        der = _signed_with_sha1(der, private_key(str(wanted["issuer"]), "p256"))
    return der


def _signed_with_sha1(der: bytes, key: object) -> bytes:
    """The same certificate signed with ECDSA and SHA-1, which the builder refuses to write."""
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    parsed = asn1_x509.Certificate.load(der)
    tbs = parsed["tbs_certificate"]
    tbs["signature"] = {"algorithm": "sha1_ecdsa"}
    signature = key.sign(tbs.dump(force=True), ec.ECDSA(hashes.SHA1(), deterministic_signing=True))
    changed = asn1_x509.Certificate(
        {"tbs_certificate": tbs, "signature_algorithm": {"algorithm": "sha1_ecdsa"}, "signature_value": signature}
    )
    return bytes(changed.dump(force=True))


def _build(name: str, wanted: dict[str, object]) -> x509.Certificate:
    issuer = str(wanted.get("issuer", name))
    above = wanted if issuer == name else described(issuer)
    label, suite = str(wanted.get("key", name)), str(wanted["suite"])
    public = _public_key(label, suite)
    signer_suite = str(wanted.get("signing_suite", above["suite"]))
    signer = private_key(str(wanted.get("signer", above.get("key", issuer))), signer_suite)
    assert not isinstance(signer, x448.X448PrivateKey)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(wanted["subject"]))
        .issuer_name(_name(wanted.get("issuer_name", above["subject"])))
        .serial_number(_serial(str(wanted.get("serial_of", name))))
        .not_valid_before(_moment(wanted["from_time"]))
        .not_valid_after(_moment(wanted["to_time"]))
        .public_key(public)
    )
    for extension, critical in _extensions(wanted, public, signer.public_key()):
        builder = builder.add_extension(extension, critical)
    if isinstance(signer, ed448.Ed448PrivateKey):
        return builder.sign(signer, None)
    digest = _HASHES[str(wanted["hash"])]() if "hash" in wanted else _CURVES[signer_suite][1]()
    return builder.sign(signer, digest, ecdsa_deterministic=True)


def _extensions(wanted: dict[str, object], public: object, signer: object) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = []
    if wanted.get("ca") is not None and wanted.get("ca") != "absent":
        limit = wanted.get("path_length") if wanted["ca"] else None
        constraints = x509.BasicConstraints(bool(wanted["ca"]), None if limit is None else int(str(limit)))
        found.append((constraints, bool(wanted.get("ca_critical", True))))
    usage = wanted.get("usage", [])
    assert isinstance(usage, list)
    if usage:
        bits = {field: bit in usage for bit, field in _BITS.items()}
        found.append(
            (x509.KeyUsage(**bits, encipher_only=False, decipher_only=False), bool(wanted.get("usage_critical", True)))
        )
    purposes = wanted.get("purposes", [])
    assert isinstance(purposes, list)
    if purposes:
        found.append((x509.ExtendedKeyUsage([ObjectIdentifier(oid) for oid in purposes]), False))
    if wanted.get("ski", True):
        found.append((x509.SubjectKeyIdentifier.from_public_key(public), False))
    if wanted.get("aki", True):
        found.append((x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), False))
    if "aia" in wanted:
        access = x509.AccessDescription(
            x509.oid.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(str(wanted["aia"]))
        )
        found.append((x509.AuthorityInformationAccess([access]), False))
    if wanted.get("dns"):
        found.append((x509.SubjectAlternativeName([x509.DNSName(str(wanted["dns"]))]), False))
    if wanted.get("permitted"):
        subtree = [x509.DNSName(str(wanted["permitted"]))]
        found.append((x509.NameConstraints(permitted_subtrees=subtree, excluded_subtrees=None), True))
    if wanted.get("nocheck"):
        found.append((x509.OCSPNoCheck(), False))
    if wanted.get("critical"):
        found.append((x509.UnrecognizedExtension(ObjectIdentifier(str(wanted["critical"])), b"\x05\x00"), True))
    return found


def _name(pairs: object) -> x509.Name:
    assert isinstance(pairs, list)
    return x509.Name(
        [x509.RelativeDistinguishedName([x509.NameAttribute(_TYPES[kind], value)]) for kind, value in pairs]
    )


def _serial(label: str) -> int:
    return int.from_bytes(b"\x40" + hashlib.sha256(label.encode()).digest()[:15], "big")


def _moment(value: object) -> datetime:
    assert isinstance(value, datetime)
    return value.astimezone(UTC)


@cache
def revocation_list(name: str) -> bytes:
    """The DER CRL of that name."""
    wanted = corpus()["crl"][name]
    issuer = described(str(wanted["issuer"]))
    suite = str(issuer["suite"])
    key = private_key(str(wanted.get("signer", issuer.get("key", wanted["issuer"]))), suite)
    assert not isinstance(key, x448.X448PrivateKey)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(_name(issuer["subject"]))
        .last_update(_moment(wanted["this_update"]))
        .next_update(_moment(wanted["next_update"]))
        .add_extension(x509.CRLNumber(1), False)
    )
    if wanted.get("aki", True):
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
    if wanted.get("scope"):
        builder = builder.add_extension(_scope(str(wanted["scope"])), True)
    revoked = wanted.get("revoked", [])
    assert isinstance(revoked, list)
    for one in revoked:
        serial = x509.load_der_x509_certificate(certificate(one)).serial_number
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(serial)
            .revocation_date(_moment(wanted["this_update"]))
            .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), False)
        )
        builder = builder.add_revoked_certificate(entry.build())
    digest = None if isinstance(key, ed448.Ed448PrivateKey) else _CURVES[suite][1]()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.DER)


def _scope(which: str) -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(
        full_name=None,
        relative_name=None,
        only_contains_user_certs=which == "users",
        only_contains_ca_certs=which == "cas",
        only_some_reasons=frozenset({x509.ReasonFlags.key_compromise}) if which == "reasons" else None,
        indirect_crl=which == "indirect",
        only_contains_attribute_certs=False,
    )


@cache
def ocsp_response(name: str) -> bytes:
    """The DER OCSP response of that name."""
    wanted = corpus()["ocsp"][name]
    if wanted.get("failure"):
        status = ocsp.OCSPResponseStatus[str(wanted["failure"])]
        return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(serialization.Encoding.DER)
    subject = str(wanted["about"])
    about = x509.load_der_x509_certificate(certificate(subject))
    issuer = str(wanted.get("issuer", described(subject)["issuer"]))
    above = x509.load_der_x509_certificate(certificate(issuer))
    responder = str(wanted.get("responder", issuer))
    delegate = x509.load_der_x509_certificate(certificate(responder))
    key = private_key(str(described(responder).get("key", responder)), str(described(responder)["suite"]))
    assert not isinstance(key, x448.X448PrivateKey)
    state = str(wanted["status"])
    this_update = _moment(wanted["this_update"])
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=about,
        issuer=above,
        algorithm=_HASHES[str(wanted.get("hash", "sha256"))](),
        cert_status=ocsp.OCSPCertStatus[state],
        this_update=this_update,
        next_update=_moment(wanted["next_update"]) if wanted.get("next_update") else None,
        revocation_time=this_update if state == "REVOKED" else None,
        revocation_reason=x509.ReasonFlags.superseded if state == "REVOKED" else None,
    )
    encoding = ocsp.OCSPResponderEncoding[str(wanted.get("by", "HASH"))]
    builder = builder.responder_id(encoding, delegate)
    if responder != issuer:
        builder = builder.certificates([delegate])
    digest = None if isinstance(key, ed448.Ed448PrivateKey) else _CURVES[str(described(responder)["suite"])][1]()
    der = builder.sign(key, digest).public_bytes(serialization.Encoding.DER)
    return _flipped(der, _signature_at(der)) if wanted.get("flip") else der


def _signature_at(der: bytes) -> int:
    """Where the last octet of the responder's signature stands."""
    signature = ocsp.load_der_ocsp_response(der).signature
    return der.index(signature) + len(signature) - 1


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
