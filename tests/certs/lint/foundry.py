"""Certificates for the linter's tests: minted with cryptography's builder, taken apart with asn1crypto,
put together again wrongly and signed. Nothing of v2gpki takes part but the profile's types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from asn1crypto import core
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from v2gpki.profile.model import (
    AttributeRule,
    BasicConstraintsRule,
    ExtendedKeyUsageRule,
    IdentifierRule,
    KeyIdentifierRule,
    KeyRule,
    KeyUsageRule,
    PoliciesRule,
    Profile,
    SizeRule,
    SubjectRule,
    UrlRule,
    ValidityRule,
)

PrivateKey = ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey
PublicKey = ec.EllipticCurvePublicKey | ed448.Ed448PublicKey | x448.X448PublicKey

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=80)
EVSEID = "DE*ABC*E00001"

CN = AttributeRule(type="CN", oid="2.5.4.3", value="{id}", clause="CN-clause")
O = AttributeRule(type="O", oid="2.5.4.10", value="{org}", clause="O-clause")  # noqa: E741 - the attribute's name
C = AttributeRule(
    type="C", oid="2.5.4.6", value="{country}", string="printable", accept=("printable",), presence="optional"
)
DC = AttributeRule(
    type="DC",
    oid="0.9.2342.19200300.100.1.25",
    value="CPO",
    string="ia5",
    accept=("ia5",),
    fixed=True,
    clause="[V2G2-925]",
)

OU = AttributeRule(type="OU", oid="2.5.4.11", value="", presence="forbidden", clause="OU-clause")

LEAF = Profile(
    edition="test",
    role="secc",
    suite="p256",
    title="SECC leaf",
    kind="leaf",
    branch="cpo",
    issuers=("sub",),
    anchors=("root",),
    depth=3,
    identifier=IdentifierRule(kinds=("evseid",), required=True, clause="id-clause"),
    subject=SubjectRule(attributes=(CN, O, C, DC), forbidden=("OU",), excluded=(OU,), clause="subject-clause"),
    validity=ValidityRule(default=timedelta(days=90), maximum=timedelta(days=92), minimum=timedelta(days=1)),
    size=SizeRule(maximum=800, clause="[V2G2-010]"),
    key=KeyRule(suite="p256", clause="[V2G2-006]"),
    basic_constraints=BasicConstraintsRule(ca=False, clause="[V2G2-867]"),
    key_usage=KeyUsageRule(
        bits=("digitalSignature",), required=("digitalSignature",), discouraged=("keyAgreement",), clause="F.2"
    ),
    extended_key_usage=ExtendedKeyUsageRule(),
    subject_key_identifier=KeyIdentifierRule(),
    authority_key_identifier=KeyIdentifierRule(),
    ocsp=UrlRule(write=True, presence="required", clause="aia-clause"),
    crl=UrlRule(write=False),
    policies=PoliciesRule(),
)

SUB = replace(
    LEAF,
    role="sub",
    kind="sub-ca",
    issuers=("root",),
    identifier=IdentifierRule(),
    subject=SubjectRule(attributes=(replace(CN, value="{name}"), O, replace(DC, value="V2G"))),
    validity=ValidityRule(default=timedelta(days=400)),
    basic_constraints=BasicConstraintsRule(ca=True, path_length=0),
    key_usage=KeyUsageRule(bits=("keyCertSign", "cRLSign"), required=("keyCertSign", "cRLSign")),
)

ROOT = replace(
    SUB,
    role="root",
    kind="root",
    issuers=(),
    depth=0,
    basic_constraints=BasicConstraintsRule(ca=True),
    authority_key_identifier=KeyIdentifierRule(presence="optional"),
    ocsp=UrlRule(write=False),
)


def new_key(suite: str) -> PrivateKey:
    """A fresh key that signs."""
    if suite == "ed448":
        return ed448.Ed448PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1() if suite == "p256" else ec.SECP521R1())


def spki_of(key: PublicKey) -> bytes:
    """DER SubjectPublicKeyInfo."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def subject_of(common_name: str, *, dc: str, country: str = "") -> x509.Name:
    """CN, O, [C], DC; cryptography writes UTF8String, PrintableString for C, IA5String for DC."""
    attributes = [
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme"),
    ]
    if country:
        attributes.append(x509.NameAttribute(NameOID.COUNTRY_NAME, country))
    attributes.append(x509.NameAttribute(NameOID.DOMAIN_COMPONENT, dc))
    return x509.Name(attributes)


def usage(*bits: str) -> x509.KeyUsage:
    """KeyUsage by cryptography's names."""
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in bits for name in names})


@dataclass(frozen=True)
class Link:
    """A certificate with its key."""

    der: bytes
    key: PrivateKey
    suite: str

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.der)


def mint(
    subject: x509.Name,
    public_key: PublicKey,
    issuer: Link | None,
    signer: PrivateKey,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    *,
    begin: datetime = BEGIN,
    end: datetime = END,
    serial: int = 0x41 << 152 | 0x1234,
) -> bytes:
    """Build and sign; SKI (method 1) and AKI are added before ``extensions`` are."""
    name = issuer.certificate.subject if issuer else subject
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    above = (
        issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        if issuer
        else identifier.digest
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(above, None, None), critical=False)
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical=critical)
    return builder.sign(signer, _hash(signer)).public_bytes(Encoding.DER)


def ocsp(url: str = "http://ocsp.example/") -> x509.AuthorityInformationAccess:
    """AuthorityInfoAccess with one OCSP address."""
    description = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))
    return x509.AuthorityInformationAccess([description])


LEAF_EXTENSIONS = (
    (x509.BasicConstraints(ca=False, path_length=None), True),
    (usage("digital_signature"), True),
    (ocsp(), False),
)


def ca_extensions(path_length: int | None) -> list[tuple[x509.ExtensionType, bool]]:
    """What a CA of the tests carries."""
    return [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (usage("key_cert_sign", "crl_sign"), True),
    ]


def root(suite: str = "p256") -> Link:
    """A root, valid from 2025 to 2060 (its end is a GeneralizedTime)."""
    return _root(suite)


@lru_cache
def _root(suite: str) -> Link:
    key = new_key(suite)
    begin, end = datetime(2025, 1, 1, tzinfo=UTC), datetime(2060, 1, 1, tzinfo=UTC)
    der = mint(
        subject_of("Root", dc="V2G"), key.public_key(), None, key, ca_extensions(None), begin=begin, end=end
    )
    return Link(der, key, suite)


def sub(suite: str = "p256", path_length: int | None = 0) -> Link:
    """A sub-CA below ``root``, valid 2025-06-01 to 2027-06-01."""
    return _sub(suite, path_length)


@lru_cache
def _sub(suite: str, path_length: int | None) -> Link:
    key = new_key(suite)
    above = root(suite)
    begin, end = datetime(2025, 6, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
    extensions = [*ca_extensions(path_length), (ocsp(), False)]
    name = subject_of("Sub", dc="V2G")
    return Link(mint(name, key.public_key(), above, above.key, extensions, begin=begin, end=end), key, suite)


def leaf(suite: str = "p256") -> Link:
    """A leaf below ``sub``."""
    return _leaf(suite)


@lru_cache
def _leaf(suite: str) -> Link:
    key = new_key(suite)
    above = sub(suite)
    name = subject_of(EVSEID, dc="CPO", country="DE")
    return Link(mint(name, key.public_key(), above, above.key, LEAF_EXTENSIONS), key, suite)


def of_family(profile: Profile, suite: str) -> Profile:
    """The same profile in another family."""
    return replace(profile, suite=suite, key=KeyRule(suite=suite), size=SizeRule(maximum=1600))


# -- taking apart and putting together ---------------------------------------------------------


def tlv(tag: int, content: bytes) -> bytes:
    """One DER value."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def oid(dotted: str) -> bytes:
    """DER OBJECT IDENTIFIER, by asn1crypto."""
    return bytes(core.ObjectIdentifier(dotted).dump())


def extension(dotted: str, value: bytes, *, critical: bool = False) -> bytes:
    """One DER Extension."""
    return tlv(0x30, oid(dotted) + (b"\x01\x01\xff" if critical else b"") + tlv(0x04, value))


def rdn(dotted: str, text: str | bytes, tag: int = 0x0C) -> bytes:
    """One RDN with one attribute."""
    return tlv(0x31, attribute(dotted, text, tag))


def attribute(dotted: str, text: str | bytes, tag: int = 0x0C) -> bytes:
    """One AttributeTypeAndValue."""
    return tlv(0x30, oid(dotted) + tlv(tag, text.encode() if isinstance(text, str) else text))


@dataclass
class Parts:
    """The DER of every field of a certificate, free to be changed."""

    serial: bytes
    algorithm: bytes
    issuer: bytes
    not_before: bytes
    not_after: bytes
    rdns: list[bytes]
    spki: bytes
    extensions: dict[str, bytes]
    version: bytes = b"\xa0\x03\x02\x01\x02"
    unique: bytes = b""
    outer: bytes = b""
    more: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, der: bytes) -> Parts:
        """Take a certificate apart; extensions by dotted OID."""
        tbs = asn1.Certificate.load(der)["tbs_certificate"]
        return cls(
            serial=tbs["serial_number"].dump(),
            algorithm=tbs["signature"].dump(),
            issuer=tbs["issuer"].dump(),
            not_before=tbs["validity"]["not_before"].dump(),
            not_after=tbs["validity"]["not_after"].dump(),
            rdns=[item.dump() for item in tbs["subject"].chosen],
            spki=tbs["subject_public_key_info"].dump(),
            extensions={item["extn_id"].dotted: item.dump() for item in tbs["extensions"]},
        )

    def tbs(self) -> bytes:
        extensions = [*self.extensions.values(), *self.more]
        return tlv(
            0x30,
            self.version
            + self.serial
            + self.algorithm
            + self.issuer
            + tlv(0x30, self.not_before + self.not_after)
            + tlv(0x30, b"".join(self.rdns))
            + self.spki
            + self.unique
            + (tlv(0xA3, tlv(0x30, b"".join(extensions))) if extensions else b""),
        )

    def sign(self, key: PrivateKey) -> bytes:
        """The certificate, signed for real."""
        tbs = self.tbs()
        return assemble(tbs, self.outer or self.algorithm, raw_signature(key, tbs))


def raw_signature(key: PrivateKey, tbs: bytes) -> bytes:
    """The signature octets over ``tbs``."""
    if isinstance(key, ed448.Ed448PrivateKey):
        return key.sign(tbs)
    algorithm = _hash(key)
    assert algorithm is not None
    return key.sign(tbs, ec.ECDSA(algorithm))


def assemble(tbs: bytes, algorithm: bytes, signature: bytes) -> bytes:
    """The certificate around its three fields."""
    return tlv(0x30, tbs + algorithm + tlv(0x03, b"\x00" + signature))


def _hash(key: PrivateKey) -> hashes.HashAlgorithm | None:
    if isinstance(key, ed448.Ed448PrivateKey):
        return None
    return hashes.SHA256() if key.curve.name == "secp256r1" else hashes.SHA512()
