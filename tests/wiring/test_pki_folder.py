"""PKI folders: what is read out of which layout, and each thing that is missing or wrong, with what mends it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.conftest import BIRTH
from tests.wiring.pki_folders import PASSWORD, exported, unlocked
from v2gpki.certs.chain import load_certificates
from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.keys import pkcs8
from v2gpki.keys.suites import spki_of
from v2gpki.services.export import export_editions, export_layout
from v2gpki.wiring.credentials import Credential
from v2gpki.wiring.pki_folder import station_credentials, vehicle_credentials

LATER = BIRTH + timedelta(days=1)


@pytest.fixture(scope="module")
def folders(home_all: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never written to by tests."""
    return exported(home_all, tmp_path_factory.mktemp("pki"))


@pytest.fixture
def copied(folders: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of one of the folders, to be spoilt."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(folders / name, tmp_path / name))

    return copy


def refused(code: str, call: Callable[[], object]) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as found:
        call()
    assert found.value.code == code
    assert PASSWORD not in f"{found.value} {found.value.hint} {found.value.facts}"
    return found.value


def certificate(path: Path) -> bytes:
    """What the one PEM certificate of a file holds, read by the library."""
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(serialization.Encoding.DER)


def coherent(one: Credential) -> None:
    """A chain whose links verify up to its root, and the key of its leaf."""
    above = [*one.chain, *([one.root] if one.root else [])]
    for child, issuer in pairwise(above):
        x509.load_der_x509_certificate(child).verify_directly_issued_by(x509.load_der_x509_certificate(issuer))
    assert spki_of(one.private_key.public_key()) == view(one.chain[0]).spki


# --- layouts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "edition", "suite", "leaf", "v2g", "mo"),
    [
        ("two", "iso15118-2", "p256", "client/cso/SECC_LEAF.pem", "ca/v2g/V2G_ROOT_CA.pem", "ca/mo/MO_ROOT_CA.pem"),
        ("twenty", "iso15118-20", "p521", "client/cso/SECC_LEAF.pem", "ca/v2g/V2G_ROOT_CA.pem", "ca/mo/MO_ROOT_CA.pem"),
        ("ed448", "iso15118-20", "ed448", "client/cso/SECC_LEAF.pem", "ca/v2g/V2G_ROOT_CA.pem", "ca/mo/MO_ROOT_CA.pem"),
        *(
            (
                name,
                edition,
                "p256",
                "iso15118_2/certs/seccLeafCert.pem",
                "iso15118_2/certs/v2gRootCACert.pem",
                "iso15118_2/certs/moRootCACert.pem",
            )
            for name, edition in (("josev", "iso15118-2"), ("lab", "lab-ecog-20"))
        ),
    ],
)
def test_a_station_s_part(folders: Path, name: str, edition: str, suite: str, leaf: str, v2g: str, mo: str) -> None:
    folder = folders / name
    found = station_credentials(folder, at=LATER)
    (identity,) = found.of(edition)
    assert set(found.identities) == {edition}
    assert identity.chain[0] == certificate(folder / leaf)
    assert (len(identity.chain), identity.suite, identity.holder) == (3, suite, "secc")
    assert identity.root == certificate(folder / v2g)
    coherent(identity)
    assert found.roots.v2g == (identity.root,)
    assert found.roots.mo == (certificate(folder / mo),)
    assert len(found.roots.oem) == 1
    assert found.notes == ()
    assert (found.mo_sub_ca_2 is not None) == (name in {"two", "josev"})
    assert found.meter is None


def test_the_key_of_the_mo_sub_ca_2_signs_tariffs(folders: Path) -> None:
    found = station_credentials(folders / "two", at=LATER)
    assert found.mo_sub_ca_2 is not None
    assert found.mo_sub_ca_2.spki == view(certificate(folders / "two/ca/mo/MO_SUB_CA2.pem")).spki


@pytest.mark.parametrize(
    ("name", "edition", "oem", "contract"),
    [
        ("two", "iso15118-2", "client/oem/OEM_LEAF.pem", "client/mo/MO_LEAF.pem"),
        ("twenty", "iso15118-20", "client/oem/OEM_LEAF.pem", "client/mo/MO_LEAF.pem"),
        ("josev", "iso15118-2", "iso15118_2/certs/oemLeafCert.pem", "iso15118_2/certs/contractLeafCert.pem"),
        ("lab", "lab-ecog-20", "iso15118_2/certs/oemLeafCert.pem", "iso15118_2/certs/contractLeafCert.pem"),
    ],
)
def test_a_vehicle_s_part(folders: Path, name: str, edition: str, oem: str, contract: str) -> None:
    folder = folders / name
    found = vehicle_credentials(folder, at=LATER)
    assert found.provisioning(edition).chain[0] == certificate(folder / oem)
    (paying,) = found.contracts[edition]
    assert paying.chain[0] == certificate(folder / contract)
    assert paying.emaid == "DEABCC00000001"
    for one in (found.provisioning(edition), paying):
        coherent(one)
        assert len(one.chain) == 3
    assert found.contracts_folder == folder / "installed"
    if edition == "iso15118-20":
        vehicle = found.tls(edition)
        assert vehicle.chain[0] == certificate(folder / "client/vehicle/VEHICLE_LEAF.pem")
        coherent(vehicle)
    elif edition == "lab-ecog-20":
        assert found.tls(edition) == found.provisioning(edition)
    else:
        refused("pki.missing", lambda: found.tls(edition))


def test_several_folders_in_one_serve_every_edition(folders: Path) -> None:
    station, vehicle = station_credentials(folders, at=LATER), vehicle_credentials(folders, at=LATER)
    # `two` and `josev` are of the same root: the newer leaf counts alone.
    assert {edition: sorted(one.suite for one in found) for edition, found in station.identities.items()} == {
        "iso15118-2": ["p256"],
        "iso15118-20": ["ed448", "p521"],
        "lab-ecog-20": ["p256"],
    }
    assert len(station.roots.v2g) == 4
    assert {one.suite for one in vehicle.vehicle["iso15118-20"]} == {"p521", "ed448"}


def test_one_export_of_both_editions_is_enough(home_all: Path, tmp_path: Path) -> None:
    """What ``v2gpki export --edition iso15118-2 --edition iso15118-20`` writes is all that --pki needs."""
    home, editions = tmp_path / "home", ("iso15118-2", "iso15118-20")
    shutil.copytree(home_all, home)
    for layout in ("everest", "josev"):
        pki = tmp_path / layout
        with unlocked(home) as ca:
            export_editions(ca, layout, pki, editions)
        station, vehicle = station_credentials(pki, at=LATER), vehicle_credentials(pki, at=LATER)
        for edition in editions:
            (identity,) = station.of(edition)
            coherent(identity)
            assert None not in identity.staples(LATER)
            assert vehicle.provisioning(edition)
            assert vehicle.contracts[edition]
        coherent(vehicle.tls("iso15118-20"))
        assert station.notes == vehicle.notes == ()


def test_chains_without_a_manifest_go_by_their_key_family(copied: Callable[[str], Path]) -> None:
    for name, edition in (("two", "iso15118-2"), ("twenty", "iso15118-20"), ("lab", "iso15118-2")):
        folder = copied(name)
        (folder / "manifest.json").unlink()
        assert set(station_credentials(folder, at=LATER).identities) == {edition}
        wanted = {edition, "lab-ecog-20"} if edition == "iso15118-2" else {edition}
        assert set(station_credentials(folder, at=LATER, compat="ecog").identities) == wanted
        vehicle = vehicle_credentials(folder, at=LATER, compat="ecog")
        assert set(vehicle.oem) == set(vehicle.contracts) == wanted


def test_a_manifest_says_what_chains_are_for(folders: Path) -> None:
    assert set(station_credentials(folders / "two", at=LATER, compat="ecog").identities) == {"iso15118-2"}


def test_folders_of_the_script_for_20(copied: Callable[[str], Path]) -> None:
    folder = copied("josev")
    (folder / "iso15118_2").rename(folder / "iso15118_20")
    assert station_credentials(folder, at=LATER).of("iso15118-2")


# --- which leaf -----------------------------------------------------------------------------------------------------


def test_of_one_root_the_newest_valid_leaf_counts(home_all: Path, folders: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(home_all, home)
    pki = Path(shutil.copytree(folders / "two", tmp_path / "pki"))
    with unlocked(home) as ca:
        for name, begins, ends in (
            ("OLD", BIRTH - timedelta(days=5), BIRTH + timedelta(days=50)),
            ("OVER", BIRTH + timedelta(hours=1), BIRTH + timedelta(hours=2)),
            ("NEXT", BIRTH + timedelta(days=40), BIRTH + timedelta(days=90)),
        ):
            one = ca.issue("secc", id="DE*ABC*E00009", edition="iso15118-2", not_before=begins, not_after=ends)
            assert one.private_key is not None
            cso = pki / "client" / "cso"
            (cso / f"SECC_LEAF_{name}.pem").write_bytes(
                x509.load_der_x509_certificate(one.chain[0]).public_bytes(serialization.Encoding.PEM)
            )
            (cso / f"SECC_LEAF_{name}.key").write_bytes(pkcs8.plain(one.private_key))
            (cso / f"SECC_LEAF_{name}.key").chmod(0o600)

    def chosen(days: int) -> bytes:
        (identity,) = station_credentials(pki, at=BIRTH + timedelta(days=days)).of("iso15118-2")
        return identity.chain[0]

    def named(name: str) -> bytes:
        return certificate(pki / "client" / "cso" / f"SECC_LEAF{name}.pem")

    assert chosen(1) == named("")
    assert chosen(45) == named("_NEXT")
    # all are over: the newest, and TLS shows what is wrong with it
    assert chosen(400) == named("_NEXT")


# --- what is missing or wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [station_credentials, vehicle_credentials])
def test_what_is_no_pki_folder(call: Callable[..., object], tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        problem = refused("pki.unknown_layout", lambda folder=folder: call(folder, at=LATER))
        assert str(folder) in problem.message
        assert "v2gpki export" in problem.hint


def test_a_station_without_leaf(copied: Callable[[str], Path]) -> None:
    folder = copied("two")
    (folder / "client/cso/SECC_LEAF.key").unlink()
    problem = refused("pki.missing", lambda: station_credentials(folder, at=LATER))
    assert "client/cso" in problem.message
    assert any("has no private key" in note for note in problem.facts["notes"])
    shutil.rmtree(folder / "client/cso")
    refused("pki.missing", lambda: station_credentials(folder, at=LATER))


def test_a_key_of_another_certificate_is_none(copied: Callable[[str], Path]) -> None:
    folder = copied("two")
    shutil.copy(folder / "client/mo/MO_LEAF.key", folder / "client/cso/SECC_LEAF.key")
    refused("pki.missing", lambda: station_credentials(folder, at=LATER))


def test_another_edition_than_the_one_there(folders: Path) -> None:
    problem = refused("pki.missing", lambda: station_credentials(folders / "two", at=LATER).of("iso15118-20"))
    assert "--edition iso15118-20" in problem.hint
    assert str(folders / "two") in problem.message
    vehicle = vehicle_credentials(folders / "two", at=LATER)
    assert "OEM" in refused("pki.missing", lambda: vehicle.provisioning("iso15118-20")).message


def test_a_vehicle_without_root(copied: Callable[[str], Path]) -> None:
    folder = copied("two")
    shutil.rmtree(folder / "ca/v2g")
    assert "V2G root" in refused("pki.missing", lambda: vehicle_credentials(folder, at=LATER)).message


def test_passwords(copied: Callable[[str], Path]) -> None:
    folder = copied("two")
    password = folder / "client/cso/SECC_LEAF_PASSWORD.txt"
    password.write_text("wrong\n")
    problem = refused("key.wrong_passphrase", lambda: station_credentials(folder, at=LATER))
    assert "SECC_LEAF.key" in problem.message
    assert "--password-file" in problem.hint
    assert station_credentials(folder, at=LATER, password=PASSWORD.encode()).of("iso15118-2")
    password.unlink()
    refused("key.needs_passphrase", lambda: station_credentials(folder, at=LATER))
    key = pkcs8.load((folder / "client/cso/SECC_LEAF.key").read_bytes(), PASSWORD.encode())
    (folder / "client/cso/SECC_LEAF.key").write_bytes(pkcs8.plain(key))
    assert station_credentials(folder, at=LATER).of("iso15118-2")


def test_a_file_that_is_no_certificate(copied: Callable[[str], Path]) -> None:
    folder = copied("two")
    broken = folder / "ca/mo/MO_ROOT_CA.pem"
    broken.write_bytes(broken.read_bytes()[:200])
    assert "MO_ROOT_CA.pem" in refused("chain.malformed", lambda: station_credentials(folder, at=LATER)).message


def test_a_file_that_is_far_too_large(copied: Callable[[str], Path]) -> None:
    folder = copied("two")
    (folder / "ca/v2g/V2G_ROOT_CA.pem").write_bytes(bytes(1 << 20) + b"1")
    refused("file.unreadable", lambda: station_credentials(folder, at=LATER))


def test_a_sub_ca_is_no_root(copied: Callable[[str], Path]) -> None:
    folder = copied("two")
    shutil.copy(folder / "ca/mo/MO_SUB_CA1.pem", folder / "ca/v2g/SUB.pem")
    roots = station_credentials(folder, at=LATER).roots
    assert roots.v2g == (certificate(folder / "ca/v2g/V2G_ROOT_CA.pem"),)


def test_keys_that_others_can_read_are_noted(copied: Callable[[str], Path]) -> None:
    folder = copied("two")
    for name in ("SECC_LEAF.key", "SECC_LEAF_PASSWORD.txt"):
        path = folder / "client/cso" / name
        path.chmod(0o644)
        (note,) = station_credentials(folder, at=LATER).notes
        assert (note.code, note.where) == ("key.exposed", str(path))
        assert "0644" in note.message
        path.chmod(0o600)


def test_nothing_shows_a_key(folders: Path) -> None:
    for found in (station_credentials(folders, at=LATER), vehicle_credentials(folders, at=LATER)):
        assert "PrivateKey" not in repr(found)


# --- staples --------------------------------------------------------------------------------------------------------


def test_a_staple_is_found_beside_the_chain_as_long_as_it_is_current(
    home_all: Path, folders: Path, tmp_path: Path
) -> None:
    from v2gpki.services.ocsp import staples
    from v2gpki.wiring.ocsp import issuer_certificates, ocsp_responder

    home = tmp_path / "home"
    shutil.copytree(home_all, home)
    pki = tmp_path / "pki"
    with unlocked(home) as ca:
        export_layout(ca, "everest", pki, edition="iso15118-2")
        chain = load_certificates((pki / "client/cso/CPO_CERT_CHAIN.pem").read_bytes())
        responder = ocsp_responder(ca)
        made = staples(
            chain, lambda asked: responder.answer(asked.request), anchors=issuer_certificates(ca.store)
        )
    (identity,) = station_credentials(pki, at=LATER).of("iso15118-2")
    assert None not in identity.staples(LATER)
    shutil.rmtree(pki / "client/cso/ocsp")
    assert identity.staples(LATER) == (None, None, None)
    (pki / "client/cso/ocsp").mkdir()
    for number, one in enumerate(made):
        (pki / f"client/cso/ocsp/{number}.der").write_bytes(one.der)
    (pki / "client/cso/ocsp/garbage.der").write_bytes(b"no answer")
    # read anew: the same object finds them
    assert identity.staples(LATER) == tuple(one.der for one in made)
    assert identity.staple(LATER) == made[0].der
    assert identity.staple(made[0].next_update + timedelta(seconds=1)) is None
    assert identity.staple(made[0].this_update - timedelta(seconds=1)) is None


def test_a_manifest_of_somebody_else_means_nothing(copied: Callable[[str], Path]) -> None:
    folder = copied("two")
    for text in ("[]", "{", json.dumps({"edition": "iso15118-3"})):
        (folder / "manifest.json").write_text(text)
        assert station_credentials(folder, at=LATER).of("iso15118-2")
