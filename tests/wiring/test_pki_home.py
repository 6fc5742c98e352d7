"""Station and vehicle minted by a home: whole chains, live revocation, a contract that can be installed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography import x509

import v2gpki
from tests.conftest import BIRTH
from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import spki_of, suite_of_spki
from v2gpki.messages import codec
from v2gpki.pnc import installation
from v2gpki.pnc.algorithms import Edition
from v2gpki.profile.load import Catalogue
from v2gpki.wiring.credentials import Credential
from v2gpki.wiring.judges import contract_judge, cps_judge
from v2gpki.wiring.pki_home import LabVehicle, station_of_home, vehicle_of_home

CATALOGUE = Catalogue()
BOTH: tuple[Edition, ...] = ("iso15118-2", "iso15118-20")


def refused(code: str, call: Callable[[], object]) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as found:
        call()
    assert found.value.code == code
    return found.value


def whole(one: Credential, common_name: str) -> None:
    assert one.root is not None
    for child, issuer in pairwise((*one.chain, one.root)):
        x509.load_der_x509_certificate(child).verify_directly_issued_by(x509.load_der_x509_certificate(issuer))
    assert len(one.chain) == 3
    assert spki_of(one.private_key.public_key()) == view(one.chain[0]).spki
    assert f"CN={common_name}" in view(one.chain[0]).subject_text


def test_a_station_has_a_leaf_for_each_edition_and_family(everything: v2gpki.CertificateAuthority) -> None:
    found = station_of_home(everything, editions=BOTH, evse_id="DE*ICE*E45B")
    assert {edition: [one.suite for one in some] for edition, some in found.identities.items()} == {
        "iso15118-2": ["p256"],
        "iso15118-20": ["p521", "ed448"],
    }
    roots = {record.der for record in everything.store.authorities() if record.role == "v2g-root"}
    assert set(found.roots.v2g) == roots
    for some in found.identities.values():
        for one in some:
            whole(one, "DE*ICE*E45B")
            assert one.root in roots
            assert None not in one.staples(BIRTH)
    operator = everything.authority("iso2-mo-sub-ca-2")
    assert found.mo_sub_ca_2 is not None
    assert found.mo_sub_ca_2.spki == view(operator.der).spki


def test_a_vehicle_has_what_each_edition_wants(everything: v2gpki.CertificateAuthority, tmp_path: Path) -> None:
    who = LabVehicle("WAB00000000000077", "WABV0000000000000077", "DEABCC00000077")
    found = vehicle_of_home(everything, editions=BOTH, who=who, suite="ed448", contracts_folder=tmp_path)
    for edition, suite in (("iso15118-2", "p256"), ("iso15118-20", "ed448")):
        whole(found.provisioning(edition), who.pcid)
        (contract,) = found.contracts[edition]
        whole(contract, who.emaid)
        assert (contract.emaid, contract.suite) == (who.emaid, suite)
    whole(found.tls("iso15118-20"), who.evccid)
    assert found.contracts_folder == tmp_path
    assert set(found.vehicle) == {"iso15118-20"}


def test_a_vehicle_that_pays_with_nothing_yet(everything: v2gpki.CertificateAuthority) -> None:
    found = vehicle_of_home(everything, editions=["iso15118-2"], paying=False)
    assert found.contracts == {}
    assert vehicle_of_home(everything, editions=["iso15118-2"]).contracts


@pytest.mark.parametrize("edition", BOTH)
def test_a_contract_can_be_installed(everything: v2gpki.CertificateAuthority, edition: Edition) -> None:
    found = vehicle_of_home(everything, editions=[edition], paying=False)
    oem = found.provisioning(edition)
    family = suite_of_spki(oem.signer.spki)
    roots = [der for der in found.roots.v2g if suite_of_spki(view(der).spki) == family]
    request = installation.build_request(
        edition=edition, chain=oem.chain, signer=oem.signer, roots=roots, timestamp=BIRTH
    )
    schema = "iso15118-2" if edition == "iso15118-2" else "iso15118-20-common"
    answer = everything.plug_and_charge.provisioning.answer(codec.encode(request, schema))
    assert answer.status == "Accepted", answer.reason
    verdict = cps_judge(CATALOGUE, found)
    opened = installation.open_response(
        installation.read_response(answer.exi),
        oem.agreement,
        trust=lambda chain: verdict(chain, edition, BIRTH),
        pcid=LabVehicle().pcid,
    )
    assert opened.emaid == LabVehicle().emaid


def test_once_more_is_no_second_contract(everything: v2gpki.CertificateAuthority) -> None:
    for _ in range(2):
        vehicle_of_home(everything, editions=["iso15118-2"])
    assert [one.emaid for one in everything.plug_and_charge.contracts.list()] == [LabVehicle().emaid]


def test_revocation_is_seen_at_once(everything: v2gpki.CertificateAuthority) -> None:
    station = station_of_home(everything, editions=["iso15118-2"])
    vehicle = vehicle_of_home(everything, editions=["iso15118-2"])
    (contract,) = vehicle.contracts["iso15118-2"]
    verdict = contract_judge(CATALOGUE, station, require_evidence=True)
    later = BIRTH + timedelta(minutes=1)
    assert verdict(contract.chain, "iso15118-2", later)
    everything.revoke(f"{view(contract.chain[0]).serial:x}", "keyCompromise")
    refused("path.revoked", lambda: verdict(contract.chain, "iso15118-2", later))


def test_of_chains_of_others_a_home_says_nothing(everything: v2gpki.CertificateAuthority) -> None:
    from tests.chains import mint

    station = station_of_home(everything, editions=["iso15118-2"])
    assert station.answers([mint.certificate(name) for name in ("contract", "mo2", "mo1")]) == ()


def test_a_home_without_the_edition(iso2: v2gpki.CertificateAuthority) -> None:
    refused("authority.unknown_issuer", lambda: station_of_home(iso2, editions=["iso15118-20"]))
    refused("authority.unknown_issuer", lambda: vehicle_of_home(iso2, editions=["iso15118-20"]))


def test_a_locked_home(home_iso2: Path) -> None:
    with v2gpki.open_authority(home_iso2, clock=v2gpki.FixedClock(BIRTH)) as locked:
        refused("home.locked", lambda: station_of_home(locked, editions=["iso15118-2"]))
