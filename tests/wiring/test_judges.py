"""Verdicts on chains by what a PKI folder trusts: good ones, and wrong use, root, time, revocation, each by code."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

import v2gpki
from tests.chains import mint
from tests.conftest import BIRTH
from tests.pnc.installation.parties import NOW, revoked
from tests.wiring.pki_folders import exported, unlocked
from v2gpki.certs.chain import pem
from v2gpki.errors import V2GPKIError
from v2gpki.profile.load import Catalogue
from v2gpki.services.trust import TrustedChain, judge
from v2gpki.wiring.credentials import Roots, StationCredentials, VehicleCredentials
from v2gpki.wiring.judges import Anchors, anchors, contract_judge, cps_judge, judged_as
from v2gpki.wiring.pki_folder import station_credentials, vehicle_credentials

CATALOGUE = Catalogue()
LATER = BIRTH + timedelta(days=1)


@pytest.fixture(scope="module")
def folders(home_all: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never written to by tests."""
    return exported(home_all, tmp_path_factory.mktemp("pki"))


def refused(code: str, call: Callable[[], object]) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as found:
        call()
    assert found.value.code == code
    return found.value


def corpus(*names: str) -> tuple[bytes, ...]:
    return tuple(mint.certificate(name) for name in names)


ROOTS = Roots(v2g=corpus("v2g"), mo=corpus("mo"), oem=corpus("oemroot"))
CONTRACT = corpus("contract", "mo2", "mo1")


def judged(chain: tuple[bytes, ...], roots: Roots = ROOTS, **more: object) -> TrustedChain:
    options = {"crls": (), "at": NOW, **more}
    station = StationCredentials(roots, crls=options["crls"], identities={})
    return contract_judge(CATALOGUE, station)(chain, "iso15118-2", options["at"])


# --- contracts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "edition", "compat"),
    [
        ("two", "iso15118-2", ""),
        ("twenty", "iso15118-20", ""),
        ("ed448", "iso15118-20", ""),
        ("lab", "lab-ecog-20", ""),
        ("lab", "iso15118-20", "ecog"),
    ],
)
def test_a_station_takes_the_contract_of_its_own_pki(folders: Path, name: str, edition: str, compat: str) -> None:
    station = station_credentials(folders / name, at=LATER)
    vehicle = vehicle_credentials(folders / name, at=LATER)
    (contract,) = next(iter(vehicle.contracts.values()))
    found = contract_judge(CATALOGUE, station, compat=compat)(contract.chain, edition, LATER)
    assert (found.profile.role, found.path.leaf) == ("contract", contract.chain[0])
    assert found.path.anchor in station.roots.mo


def test_the_lab_edition_only_by_name(folders: Path) -> None:
    station = station_credentials(folders / "lab", at=LATER)
    ((contract,),) = vehicle_credentials(folders / "lab", at=LATER).contracts.values()
    refused("role.suite", lambda: contract_judge(CATALOGUE, station)(contract.chain, "iso15118-20", LATER))
    assert judged_as(contract.chain, "iso15118-2", "ecog") == "iso15118-2"
    assert judged_as((), "iso15118-20", "ecog") == "iso15118-20"


def test_a_contract_under_the_v2g_root_holds() -> None:
    assert judged(corpus("contract-v", "mo2v", "mo1v")).path.anchor == ROOTS.v2g[0]


@pytest.mark.parametrize(
    ("code", "chain"),
    [
        ("path.expired", ("contract-expired", "mo2", "mo1")),
        ("role.subject", ("contract-country", "mo2", "mo1")),
        ("path.broken", ("contract", "mo1")),
        ("path.order", ("contract", "mo1", "mo2")),
        ("role.wrong_anchor", ("oem", "oem2", "oem1")),
    ],
)
def test_what_a_station_refuses(code: str, chain: tuple[str, ...]) -> None:
    refused(code, lambda: judged(corpus(*chain)))


def test_nobody_knows_the_root() -> None:
    refused("path.no_anchor", lambda: judged(CONTRACT, Roots(v2g=ROOTS.v2g)))


def test_the_leaf_that_is_judged_is_the_first_one() -> None:
    """A stranger's certificate in front of somebody's good chain, or behind its leaf."""
    refused("chain.ambiguous", lambda: judged(corpus("contract-expired", "contract", "mo2", "mo1")))


def test_a_revoked_contract_is_refused() -> None:
    assert judged(CONTRACT)
    problem = refused("path.revoked", lambda: judged(CONTRACT, crls=(revoked(CONTRACT[0], "mo2"),)))
    assert problem.outcome.iso2 == "FAILED_CertificateRevoked"


def test_a_crl_in_the_folder_counts(folders: Path, home_all: Path, tmp_path: Path) -> None:
    """Written by the home that issued, into the folder that the station reads."""
    home, pki = tmp_path / "home", tmp_path / "pki"
    shutil.copytree(home_all, home)
    shutil.copytree(folders / "two", pki)
    with unlocked(home) as ca:
        one = ca.issue("contract", id="DEABCC00000088", edition="iso15118-2")
        ca.revoke(f"{one.record.serial:x}", "keyCompromise")
        (pki / "ca/mo/crl").mkdir()
        (pki / "ca/mo/crl/mo2.crl").write_bytes(ca.publish_crl(one.record.issuer_id).der)
    station = station_credentials(pki, at=LATER)
    refused("path.revoked", lambda: contract_judge(CATALOGUE, station)(one.chain, "iso15118-2", LATER))
    before = station_credentials(folders / "two", at=LATER)
    assert contract_judge(CATALOGUE, before)(one.chain, "iso15118-2", LATER)
    # The folder's own contract was not revoked, but of its Sub-CAs nothing is known.
    ((contract,),) = vehicle_credentials(pki, at=LATER).contracts.values()
    strict = contract_judge(CATALOGUE, station, require_evidence=True)
    refused("path.status_unknown", lambda: strict(contract.chain, "iso15118-2", LATER))


def test_an_ocsp_response_in_the_folder_counts(folders: Path, home_all: Path, tmp_path: Path) -> None:
    from v2gpki.services.ocsp import staples
    from v2gpki.wiring.ocsp import issuer_certificates, ocsp_responder

    home, pki = tmp_path / "home", tmp_path / "pki"
    shutil.copytree(home_all, home)
    shutil.copytree(folders / "two", pki)
    station = station_credentials(pki, at=LATER)
    verdict = contract_judge(CATALOGUE, station)
    with unlocked(home) as ca:
        one = ca.issue("contract", id="DEABCC00000089", edition="iso15118-2")
        assert verdict(one.chain, "iso15118-2", LATER)
        ca.revoke(f"{one.record.serial:x}", "keyCompromise")
        responder = ocsp_responder(ca)
        answers = staples(
            one.chain, lambda asked: responder.answer(asked.request), anchors=issuer_certificates(ca.store)
        )
    (pki / "client/mo/ocsp").mkdir()
    (pki / "client/mo/ocsp/1.der").write_bytes(answers[0].der)
    # the same judge reads it
    refused("path.revoked", lambda: verdict(one.chain, "iso15118-2", LATER))


# --- the CPS --------------------------------------------------------------------------------------------------------


def test_a_vehicle_takes_its_cps(folders: Path) -> None:
    vehicle = vehicle_credentials(folders / "two", at=LATER)
    certificates = [
        folders / "two" / name
        for name in ("client/cps/CPS_LEAF.der", "ca/cps/CPS_SUB_CA2.der", "ca/cps/CPS_SUB_CA1.der")
    ]
    chain = tuple(path.read_bytes() for path in certificates)
    found = cps_judge(CATALOGUE, vehicle)(chain, "iso15118-2", LATER)
    assert found.profile.role == "cps"
    assert found.path.anchor == vehicle.roots.v2g[0]


@pytest.mark.parametrize(
    ("code", "chain"),
    [
        # ISO 15118-2 annex F: a CPS leaf has DC=CPS
        ("role.domain_component", ("cps-no-dc", "cps2", "cps1")),
        ("role.domain_component", ("secc", "cpo2", "cpo1")),
        ("role.wrong_anchor", ("contract", "mo2", "mo1")),
    ],
)
def test_what_is_no_cps(code: str, chain: tuple[str, ...]) -> None:
    vehicle = VehicleCredentials(ROOTS)
    with pytest.raises(V2GPKIError) as found:
        cps_judge(CATALOGUE, vehicle)(corpus(*chain), "iso15118-2", NOW)
    assert code in {finding.code for finding in found.value.findings}


# --- anchors --------------------------------------------------------------------------------------------------------


def test_a_root_has_the_role_of_its_folder_and_the_first_of_several() -> None:
    roots = Roots(v2g=corpus("v2g"), mo=corpus("v2g", "mo"), oem=corpus("oemroot", "mo"))
    assert [anchor.role for anchor in anchors(CATALOGUE, roots, "iso15118-2")] == ["v2g-root", "mo-root", "oem-root"]


def test_roots_that_are_known_are_known_for_their_edition_alone() -> None:
    roots = Roots(v2g=corpus("v2g"), mo=corpus("mo"))
    known = Anchors(CATALOGUE, roots, ["iso15118-2"])
    assert known.of("iso15118-2") == anchors(CATALOGUE, roots, "iso15118-2")
    assert known.of("iso15118-20") == anchors(CATALOGUE, roots, "iso15118-20")
    refused("profile.unknown_edition", lambda: known.of("none"))  # type: ignore[arg-type]  # there is none


def test_a_station_of_a_private_operator_is_known_by_its_root(everything: v2gpki.CertificateAuthority) -> None:
    """[V2G2-868]: its root signs the leaf, and lies where V2G roots lie or by itself."""
    private = everything.create_authority("private-root", edition="iso15118-2")
    one = everything.issue("secc", id="DE*ABC*E00001", edition="iso15118-2", issuer=private.id)
    for roots, role in ((Roots(v2g=(private.der,)), ""), (Roots(private=(private.der,)), "private-root")):
        (anchor,) = anchors(CATALOGUE, roots, "iso15118-2")
        assert (anchor.der, anchor.role) == (private.der, role)
        judge(one.chain, [anchor], catalogue=CATALOGUE, role="secc", edition="iso15118-2", at=LATER)
    wrong = Roots(mo=(private.der,))
    refused(
        "role.wrong_anchor",
        lambda: judge(
            one.chain,
            anchors(CATALOGUE, wrong, "iso15118-2"),
            catalogue=CATALOGUE,
            role="secc",
            edition="iso15118-2",
            at=LATER,
        ),
    )


def test_evidence_of_a_folder_may_be_pem(folders: Path, tmp_path: Path) -> None:
    """CRLs as other tools write them, beside roots as PEM bundles."""
    pki = Path(shutil.copytree(folders / "two", tmp_path / "pki"))
    bundle = pki / "ca/v2g/V2G_ROOT_CA.pem"
    bundle.write_bytes(bundle.read_bytes() + pem([ROOTS.v2g[0]]))
    assert len(station_credentials(pki, at=LATER).roots.v2g) == 2
