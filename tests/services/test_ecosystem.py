"""Whole hierarchies from lab files: the variants that operators have, minted and validated."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from v2gpki.certs.path import validate

COMMON = '[[hierarchy]]\nname = "default"\neditions = ["iso15118-2"]\nocsp = "none"\n'
CPO = '[hierarchy.branch.v2g]\nroot = "v2g-root"\n[hierarchy.branch.cpo]\nroot = "v2g-root"\nsub_cas = 2\n'


def opened(folder: Path, profiles: tuple[Path, ...] = ()) -> v2gpki.CertificateAuthority:
    return v2gpki.open_authority(
        folder,
        passphrase=PASSPHRASE,
        create=True,
        clock=v2gpki.FixedClock(BIRTH),
        caller="test",
        profiles=profiles,
    )


def lab(tmp_path: Path, text: str) -> v2gpki.CertificateAuthority:
    """A home made from a lab file; made twice, which must change nothing."""
    file = tmp_path / "lab.toml"
    file.write_text(text)
    ca = opened(tmp_path / "home")
    founded = ca.initialise(ca.plan(["iso15118-2"], file), org="Acme")
    again = ca.initialise(ca.plan(["iso15118-2"], file), org="Acme")
    assert not again.authorities
    assert not again.held
    assert len(again.existing) >= len(founded.authorities) + len(founded.held)
    return ca


def roots(ca: v2gpki.CertificateAuthority, *slugs: str) -> list[bytes]:
    return [ca.authority(slug).der for slug in slugs]


def test_mobility_operators_below_the_v2g_root(tmp_path: Path) -> None:
    branches = '[hierarchy.branch.v2g]\nroot = "v2g-root"\n[hierarchy.branch.mo]\nroot = "v2g-root"\nsub_cas = 2\n'
    with lab(tmp_path, COMMON + branches) as ca:
        issued = ca.issue("contract", id="DEACMC12345678")
        assert len(issued.chain) == 3
        path = validate(issued.chain, roots(ca, "iso2-v2g-root"), at=BIRTH)
        assert path.certificates[-1] == ca.authority("iso2-v2g-root").der


@pytest.mark.parametrize(("sub_cas", "length"), [(2, 3), (1, 2), (0, 1)])
def test_two_one_or_no_sub_ca(tmp_path: Path, sub_cas: int, length: int) -> None:
    branches = f'[hierarchy.branch.mo]\nroot = "mo-root"\nsub_cas = {sub_cas}\n'
    with lab(tmp_path, COMMON + branches) as ca:
        issued = ca.issue("contract", id="DEACMC12345678")
        assert len(issued.chain) == length
        validate(issued.chain, roots(ca, "iso2-mo-root"), at=BIRTH)


def test_two_v2g_roots_and_a_cross_certificate(tmp_path: Path) -> None:
    """A chain of the second PKI ends at the first root too, over the cross-certificate."""
    second = COMMON.replace('"default"', '"second"') + CPO
    cross = '[[cross]]\nsubject = "second-iso2-v2g-root"\nissuer = "iso2-v2g-root"\n'
    with lab(tmp_path, COMMON + CPO + second + cross) as ca:
        issued = ca.issue("secc", id="DE*ACM*E0001", issuer="second-iso2-cpo-sub-ca-2")
        crossing = list(ca.store.find_certificates(role="cross"))
        assert len(crossing) == 1
        both = roots(ca, "iso2-v2g-root", "second-iso2-v2g-root")
        first, other = (x509.load_der_x509_certificate(der) for der in both)
        certificate = x509.load_der_x509_certificate(crossing[0].der)
        certificate.verify_directly_issued_by(first)
        assert certificate.public_key() == other.public_key()
        assert certificate.subject == other.subject
        validate(issued.chain, roots(ca, "second-iso2-v2g-root"), at=BIRTH)
        over = validate((*issued.chain, crossing[0].der), roots(ca, "iso2-v2g-root"), at=BIRTH)
        assert over.certificates[-2:] == (crossing[0].der, ca.authority("iso2-v2g-root").der)
        with pytest.raises(v2gpki.V2GPKIError):
            validate(issued.chain, roots(ca, "iso2-v2g-root"), at=BIRTH)


def test_leafs_take_the_organisation_of_their_hierarchy(tmp_path: Path) -> None:
    second = COMMON.replace('"default"', '"second"') + 'org = "Beta"\n' + CPO
    with lab(tmp_path, COMMON + CPO + second) as ca:
        first = ca.issue("secc", id="DE*ACM*E0001").record
        other = ca.issue("secc", id="DE*ACM*E0001", issuer="second-iso2-cpo-sub-ca-2").record
        assert (first.subject, other.subject) == ("DC=CPO,CN=DE*ACM*E0001,O=Acme", "DC=CPO,CN=DE*ACM*E0001,O=Beta")


def test_which_of_two_hierarchies_is_asked_unless_named(tmp_path: Path) -> None:
    second = COMMON.replace('"default"', '"second"') + CPO
    with lab(tmp_path, COMMON + CPO + second) as ca:
        assert ca.issue("secc", id="DE*ACM*E0001").record.issuer_id == "iso2-cpo-sub-ca-2@1"
    named = COMMON.replace('"default"', '"east"') + CPO + second
    (tmp_path / "named").mkdir()
    with lab(tmp_path / "named", named) as ca, pytest.raises(v2gpki.V2GPKIError) as refused:
        ca.issue("secc", id="DE*ACM*E0001")
    assert refused.value.code == "authority.ambiguous"
    assert "east-iso2-cpo-sub-ca-2" in refused.value.message


def test_a_path_length_is_never_exceeded(tmp_path: Path) -> None:
    """A profile of one's own that puts a CA below a Sub-CA 2 passes the roles, and is stopped by the path length."""
    folder = tmp_path / "own" / "iso15118-2"
    folder.mkdir(parents=True)
    text = 'inherits = "iso15118-2/cpo-sub-ca-2"\nissuers = ["cpo-sub-ca-2"]\ndepth = 4\n'
    (folder / "sub-ca-3.toml").write_text(text)
    with opened(tmp_path / "home", (tmp_path / "own",)) as ca:
        ca.initialise(ca.plan(["iso15118-2"]))
        before = ca.store.audit_tip()
        with pytest.raises(v2gpki.V2GPKIError) as refused:
            ca.create_authority("sub-ca-3", edition="iso15118-2")
        assert "lint.issuer.path_length" in [finding.code for finding in refused.value.findings]
        assert ca.store.audit_tip() == before


def test_every_certificate_keeps_the_limit_with_ocsp_urls_in_it(everything: v2gpki.CertificateAuthority) -> None:
    """The longest identifiers that the roles take; 800 octets in -2, 1600 in -20 ([V2G2-010], certificateType)."""
    longest = {
        "secc": "DE*ACM*E" + "1" * 29,
        "contract": "DEACMC12345678G",
        "oem": "WACME0000000000012",
        "vehicle": "WACME0000000000012",
        "oem-x448": "WACME0000000000012",
    }
    seen = set()
    for edition, limit in (("iso15118-2", 800), ("iso15118-20", 1600)):
        for role in everything.catalogue.roles(edition):
            if everything.catalogue.profile(edition, role).kind != "leaf":
                continue
            for suite in everything.catalogue.suites(edition, role):
                key = None
                if everything.catalogue.profile(edition, role, suite).key.suite == "x448":
                    from v2gpki.keys.suites import SUITES, spki_of

                    key = spki_of(SUITES["x448"].generate().public_key())
                issued = everything.issue(
                    role, id=longest.get(role), edition=edition, suite=suite, public_key=key
                )
                assert all(len(der) <= limit for der in issued.chain), (edition, role, suite)
                seen.add((edition, role, suite))
        for authority in everything.store.authorities(edition=edition):
            assert len(authority.der) <= limit
            if authority.role not in ("v2g-root", "mo-root", "oem-root"):
                certificate = x509.load_der_x509_certificate(authority.der)
                access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
                assert [d.access_location.value for d in access] == ["http://127.0.0.1:8080/ocsp"]
    assert len(seen) == 5 + 2 * 6 + 1  # -2: secc, cps, oem, contract, ocsp; -20: these and vehicle, twice; oem-x448


def test_installation_chains_stay_small(iso2: v2gpki.CertificateAuthority) -> None:
    """Six certificates travel in a CertificateInstallationRes; 3,400 octets leave 800 for the rest of 4,200."""
    contract = iso2.issue("contract", id="DEACMC12345678G")
    cps = iso2.issue("cps")
    assert sum(len(der) for der in (*contract.chain, *cps.chain)) <= 3400
