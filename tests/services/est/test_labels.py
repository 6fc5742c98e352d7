"""What URLs mean: labels, editions, families, hierarchies; CA certificates in the order that clients need."""

from __future__ import annotations

from dataclasses import replace

import pytest
from asn1crypto import core
from cryptography import x509

from tests.conftest import BIRTH
from tests.services.est.desk import csr, key, service_of
from v2gpki import CertificateAuthority, V2GPKIError
from v2gpki.certs.template import Constants
from v2gpki.profile.load import Catalogue
from v2gpki.services.authorities import spki_of_certificate
from v2gpki.services.est import LabelOptions, Labels, MemoryRegistry, Registration
from v2gpki.services.est.paths import SHAPES, url_path
from v2gpki.services.issuance import NewAuthority, Order


@pytest.fixture(scope="module")
def labels() -> Labels:
    return Labels(Catalogue())


@pytest.mark.parametrize(
    ("asked", "role", "edition", "suite", "hierarchy"),
    [
        (("cpo", "", ""), "secc", "iso15118-2", "", ""),
        (("cpo", "ISO15118-2", ""), "secc", "iso15118-2", "", ""),
        (("cpo", "ISO15118-20", "secp521r1"), "secc", "iso15118-20", "p521", ""),
        (("cpo", "iso15118-20", "ed448"), "secc", "iso15118-20", "ed448", ""),
        (("cpo", "urn:iso:15118:2:2013:MsgDef", "secp256r1"), "secc", "iso15118-2", "p256", ""),
        (("cpo", "urn:iso:15118:20:2020:MsgDef", ""), "secc", "iso15118-20", "", ""),
        (("cpo", "urn:iso:std:iso:15118:-20:CommonMessages", ""), "secc", "iso15118-20", "", ""),
        (("", "", ""), "secc", "iso15118-2", "", ""),
        (("mo", "", ""), "contract", "iso15118-2", "", ""),
        (("emsp", "ISO15118-20", ""), "contract", "iso15118-20", "", ""),
        (("oem", "", ""), "oem", "iso15118-2", "", ""),
        (("veh", "", ""), "vehicle", "iso15118-20", "", ""),
        (("CPS", "", ""), "cps", "iso15118-2", "", ""),
        (("station", "", ""), "station", "ocpp", "", ""),
        (("oem-x448", "", ""), "oem-x448", "iso15118-20", "", ""),
        (("cpo-iso20", "", ""), "secc", "iso15118-20", "", ""),
        (("cpo-iso20-ed448", "", ""), "secc", "iso15118-20", "ed448", ""),
        (("qa-cpo", "ISO15118-2", ""), "secc", "iso15118-2", "", "qa"),
        (("north-sea-oem-x448-iso20", "", ""), "oem-x448", "iso15118-20", "", "north-sea"),
    ],
)
def test_what_a_label_means(
    labels: Labels, asked: tuple[str, str, str], role: str, edition: str, suite: str, hierarchy: str
) -> None:
    target = labels.target(*asked)
    assert (target.role, target.edition, target.suite, target.hierarchy) == (role, edition, suite, hierarchy)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (("nothing", "", ""), "est.unknown_label"),
        (("ocsp", "", ""), "est.unknown_label"),
        (("cross", "", ""), "est.unknown_label"),
        (("cpo-sub-ca-2", "", ""), "est.unknown_label"),
        (("v2g", "", ""), "est.unknown_label"),
        (("veh", "ISO15118-2", ""), "est.unknown_label"),
        (("cpo", "ISO15118-3", ""), "est.unknown_label"),
        (("cpo-iso20", "ISO15118-2", ""), "est.unknown_label"),
        (("cpo", "ISO15118-2", "secp521r1"), "est.unknown_family"),
        (("cpo", "ISO15118-20", "secp256r1"), "est.unknown_family"),
        (("x" * 5000, "", ""), "est.unknown_label"),
    ],
)
def test_what_no_label_means(labels: Labels, asked: tuple[str, str, str], code: str) -> None:
    with pytest.raises(V2GPKIError) as refusal:
        labels.target(*asked)
    assert refusal.value.code == code
    assert len(refusal.value.message) < 300


def test_options_are_by_label_then_by_name() -> None:
    wrapped, plain = LabelOptions(wrap=64), LabelOptions(rollover=False)
    labels = Labels(Catalogue(), options={"cpo": wrapped, "qa-cpo": plain})
    assert labels.options(labels.target("cpo-iso20")) is wrapped
    assert labels.options(labels.target("qa-cpo")) is plain
    assert labels.options(labels.target("mo")) == LabelOptions()


# -- CA certificates --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "edition", "family", "slugs"),
    [
        ("cpo", "ISO15118-2", "", ["iso2-cpo-sub-ca-2", "iso2-cpo-sub-ca-1", "iso2-v2g-root"]),
        ("mo", "ISO15118-2", "", ["iso2-mo-sub-ca-2", "iso2-mo-sub-ca-1", "iso2-mo-root"]),
        ("cpo", "ISO15118-20", "", ["iso20-p521-cpo-sub-ca-2", "iso20-p521-cpo-sub-ca-1", "iso20-p521-v2g-root"]),
        (
            "veh",
            "ISO15118-20",
            "ed448",
            ["iso20-ed448-vehicle-sub-ca-2", "iso20-ed448-vehicle-sub-ca-1", "iso20-ed448-oem-root"],
        ),
        ("station", "", "", ["ocpp-csms-root"]),
    ],
)
def test_ca_certificates_stand_issuer_first_and_root_last(
    everything: CertificateAuthority, label: str, edition: str, family: str, slugs: list[str]
) -> None:
    service = service_of(everything)
    given = service.cacerts(service.labels.target(label, edition, family))
    assert list(given) == [everything.authority(slug).der for slug in slugs]


def test_ca_certificates_are_given_while_the_keys_are_locked(iso2: CertificateAuthority) -> None:
    iso2.vault = None
    service = service_of(iso2)
    assert len(service.cacerts(service.labels.target("cpo"))) == 3


def test_a_hierarchy_that_is_not_there_is_an_unknown_label(iso2: CertificateAuthority) -> None:
    service = service_of(iso2)
    with pytest.raises(V2GPKIError) as refusal:
        service.cacerts(service.labels.target("qa-cpo"))
    assert refusal.value.code == "est.unknown_label"


def test_a_hierarchy_of_its_own_issues_for_its_label(iso2: CertificateAuthority) -> None:
    plan = (("v2g-root", ""), ("cpo-sub-ca-1", "iso2-v2g-root"), ("cpo-sub-ca-2", "iso2-cpo-sub-ca-1"))
    for hierarchy in ("qa", "lab"):
        for role, issuer in plan:
            above = f"{hierarchy}-{issuer}" if issuer else ""
            iso2.create_authority(role, edition="iso15118-2", issuer=above, slug=f"{hierarchy}-iso2-{role}")
    service = service_of(iso2)
    # Each its own, also when another one was asked for a moment ago.
    other = service.enrol("cpo-a", csr(key()), service.labels.target("lab-cpo"))
    assert other.record.issuer_id == "lab-iso2-cpo-sub-ca-2@1"
    target = service.labels.target("qa-cpo")
    given = service.enrol("cpo-a", csr(key()), target)
    assert given.record.issuer_id == "qa-iso2-cpo-sub-ca-2@1"
    assert service.cacerts(target)[0] == iso2.authority("qa-iso2-cpo-sub-ca-2").der
    # A renewal stays in its hierarchy, whatever the URL says.
    subject = x509.load_der_x509_certificate(given.record.der).subject
    renewed = service.reenrol("", csr(key(), subject=subject), given.record.der, service.labels.target())
    assert renewed.record.issuer_id == "qa-iso2-cpo-sub-ca-2@1"


def test_other_generations_of_a_root_and_the_links_between_them(iso2: CertificateAuthority) -> None:
    """OldWithNew and NewWithOld (RFC 4210 4.4) are cross-certificates between two generations of one authority."""
    old = iso2.authority("iso2-v2g-root@1")
    profile = iso2.catalogue.profile("iso15118-2", "v2g-root", None)
    generation = NewAuthority("iso2-v2g-root", 2)
    constants = Constants(org="Acme", name="Next Root")
    order = Order(profile, "", constants, key_id=generation.id, authority=generation)
    new = iso2.issuance.issue([order], caller="test")[0].authority
    assert new is not None
    cross = iso2.catalogue.profile("iso15118-2", "cross", None)

    def link(subject: bytes, subject_text: str, spki: bytes, issuer: str) -> bytes:
        copied = replace(constants, name=subject_text, subject=subject)
        return iso2.issuance.issue([Order(cross, issuer, copied, spki=spki)], caller="test")[0].record.der

    new_with_old = link(new.subject_der, new.subject, spki_of_certificate(new.der), old.id)
    old_with_new = link(old.subject_der, old.subject, spki_of_certificate(old.der), new.id)
    foreign = iso2.authority("iso2-oem-root")
    link(foreign.subject_der, foreign.subject, spki_of_certificate(foreign.der), old.id)
    service = service_of(iso2)
    sub_cas = [iso2.authority(f"iso2-cpo-sub-ca-{n}").der for n in (2, 1)]
    given = service.cacerts(service.labels.target("cpo"))
    assert list(given) == [*sub_cas, new_with_old, old_with_new, new.der, old.der]
    plain = service_of(iso2, options={"cpo": LabelOptions(rollover=False)})
    assert list(plain.cacerts(plain.labels.target("cpo"))) == [*sub_cas, old.der]
    assert given[-1] == old.der, "clients of the field take the last as the root of the chain"
    assert new.not_after > BIRTH


# -- request attributes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edition", "family", "expected"),
    [
        # RFC 5480 2.1.1, RFC 5758 3.2, RFC 8410 3: the identifiers are written out.
        ("ISO15118-2", "", [["1.2.840.10045.2.1", "1.2.840.10045.3.1.7"], "1.2.840.10045.4.3.2"]),
        ("ISO15118-20", "", [["1.2.840.10045.2.1", "1.3.132.0.35"], "1.2.840.10045.4.3.4"]),
        ("ISO15118-20", "ed448", ["1.3.101.113"]),
    ],
)
def test_request_attributes(
    everything: CertificateAuthority, edition: str, family: str, expected: list[object]
) -> None:
    service = service_of(everything)
    told = service.csrattrs(service.labels.target("cpo", edition, family))
    assert told is not None
    found: list[object] = []
    for item in core.SequenceOf.load(told, spec=core.Any):
        if item.dump()[:1] == b"\x06":
            found.append(core.ObjectIdentifier.load(item.dump()).dotted)
            continue
        attribute = core.Sequence.load(item.dump())
        curves = core.SetOf.load(attribute[1].dump(), spec=core.ObjectIdentifier)
        found.append([core.ObjectIdentifier.load(attribute[0].dump()).dotted, *(curve.dotted for curve in curves)])
    assert found == expected


def test_request_attributes_may_be_nothing(everything: CertificateAuthority) -> None:
    service = service_of(everything, options={"mo": LabelOptions(attributes=False)})
    assert service.csrattrs(service.labels.target("mo")) is None
    assert service.csrattrs(service.labels.target("oem-x448")) is None


def test_a_bound_request_is_told_to_be_bound(iso2: CertificateAuthority) -> None:
    service = service_of(iso2, options={"cpo": LabelOptions(binding="required")})
    told = service.csrattrs(service.labels.target("cpo"))
    assert told is not None
    # challengePassword, 1.2.840.113549.1.9.7
    assert bytes.fromhex("06092a864886f70d010907") in told


# -- registry, paths ----------------------------------------------------------------------------------


def test_the_registry_knows_its_identities_and_compares_what_ids_identify() -> None:
    registry = MemoryRegistry(
        Catalogue(),
        [
            Registration("a", "contract", "", ("DE-ABC-C12345678",)),
            Registration("a", "secc", "iso15118-2", (), ("DE*ICE",)),
            Registration("b", "cps", "iso15118-2"),
        ],
    )
    assert list(registry.identities()) == ["a", "b"]
    assert registry.allowed("a", "contract", "iso15118-2", "DEABCC12345678")
    assert registry.allowed("a", "contract", "iso15118-20", "DE-ABC-C12345678-X")
    assert not registry.allowed("a", "contract", "iso15118-2", "DEABCC12345679")
    assert not registry.allowed("a", "contract", "iso15118-2", "")
    assert registry.allowed("a", "secc", "iso15118-2", "DEICEE1")
    assert not registry.allowed("a", "secc", "iso15118-20", "DEICEE1")
    assert not registry.allowed("a", "secc", "iso15118-2", "DE*ICF*E1")
    assert registry.allowed("b", "cps", "iso15118-2", "")
    assert not registry.allowed("a", "cps", "iso15118-2", "")
    assert registry.identifiers("a", "contract", "iso15118-2") == ("DEABCC12345678",)


def test_a_registration_of_what_the_role_cannot_have_is_refused() -> None:
    with pytest.raises(V2GPKIError):
        MemoryRegistry(Catalogue(), [Registration("a", "contract", "iso15118-2", ("no emaid",))])


@pytest.mark.parametrize(
    ("shape", "operation", "path", "query"),
    [
        # As integration facts and descriptions have them, written out.
        ("rfc7030", "cacerts", "/.well-known/est/cpo/cacerts", {}),
        ("opcp", "simpleenroll", "/.well-known/est/cpo/simpleenroll/ISO15118-20", {}),
        ("opcp", "cacerts", "/cpo/cacerts/ISO15118-20/secp521r1", {}),
        ("maeve", "simpleenroll", "/cpo/simpleenroll/ISO15118-20", {}),
        ("citrineos", "simpleenroll", "/.well-known/cpo/simpleenroll", {}),
        ("strongswan", "simpleenroll", "/cpo/.well-known/est/simpleenroll", {}),
        (
            "opnc",
            "simpleenroll",
            "/est/simpleenroll",
            {"caDomain": "cpo", "iso15118Version": "ISO15118-20", "algorithm": "secp521r1"},
        ),
    ],
)
def test_urls_of_the_field(shape: str, operation: str, path: str, query: dict[str, str]) -> None:
    built = url_path(shape, operation, label="cpo", edition="ISO15118-20", family="secp521r1")
    assert built == (path, query)
    assert shape in SHAPES
