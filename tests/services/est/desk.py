"""An EST service over a test home, and requests for it."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.x509.oid import NameOID

from v2gpki.certs import der
from v2gpki.keys.suites import SUITES, PrivateKey, spki_of
from v2gpki.services.est import EstService, LabelOptions, Labels, MemoryRegistry, Registration
from v2gpki.services.routing import Routing
from v2gpki.wiring import CertificateAuthority

#: Who may have what in these tests.
TABLE = (
    Registration("cpo-a", "secc", "", ("DE*ICE*E45B*78C", "DE*ICE*E1001"), ()),
    Registration("cpo-b", "secc", "iso15118-2", (), ("DE*8EO",)),
    Registration("lone", "secc", "iso15118-2", ("DE*ABC*E7",), ()),
    Registration("mo-a", "contract", "", ("DEABCC12345678",), ()),
    Registration("oem-a", "oem", "", (), ("WMI",)),
    Registration("oem-a", "oem-x448", "iso15118-20", (), ("WMI",)),
    Registration("oem-a", "vehicle", "", (), ("",)),
    Registration("cps-a", "cps", ""),
    Registration("csms-a", "csms", "ocpp", ("csms.example.org",)),
    Registration("csms-a", "station", "ocpp", ("CS-0001",)),
)


def service_of(
    ca: CertificateAuthority,
    table: Sequence[Registration] = TABLE,
    *,
    options: dict[str, LabelOptions] | None = None,
    default: str = "cpo",
) -> EstService:
    """The service as wiring joins it."""
    return EstService(
        ca.store,
        ca.catalogue,
        ca.clock,
        routing=Routing(ca.store, ca.catalogue, lambda org: ca._naming(org=org)),
        issuance=lambda: ca.issuance,
        registry=MemoryRegistry(ca.catalogue, table),
        labels=Labels(ca.catalogue, options=options, default=default),
    )


def key(suite: str = "p256") -> PrivateKey:
    return SUITES[suite].generate()


def csr(
    private_key: PrivateKey,
    name: str | Sequence[str] = "DE*ICE*E45B*78C",
    *,
    subject: x509.Name | None = None,
    hosts: Sequence[str] = (),
    attributes: Sequence[tuple[str, bytes]] = (),
) -> bytes:
    """A request (DER) made by cryptography's builder, not by ours."""
    assert isinstance(private_key, ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey)
    names = [name] if isinstance(name, str) else name
    subject = subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text) for text in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), False)
    for oid, value in attributes:
        builder = builder.add_attribute(x509.ObjectIdentifier(oid), value)
    hash_ = None
    if isinstance(private_key, ec.EllipticCurvePrivateKey):
        hash_ = hashes.SHA256() if private_key.curve.key_size == 256 else hashes.SHA512()
    return builder.sign(private_key, hash_).public_bytes(serialization.Encoding.DER)


def csr_with(private_key: ec.EllipticCurvePrivateKey, subject: x509.Name, oid: str, value: bytes) -> bytes:
    """A request with one attribute whose value is this DER: no builder at hand writes such."""
    attribute = der.sequence(der.oid(oid), der.set_of(value))
    spki = spki_of(private_key.public_key())
    info = der.sequence(
        der.integer(0), subject.public_bytes(), spki, der.implicit(0, attribute, constructed=True)
    )
    signature = private_key.sign(info, ec.ECDSA(hashes.SHA256()))
    return der.sequence(info, SUITES["p256"].signature_algorithm, der.bit_string(signature))


def common_name(certificate: bytes) -> str:
    found = x509.load_der_x509_certificate(certificate).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value)
