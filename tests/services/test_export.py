"""Exports: every file holds what its name says, secrets stay secret, and a folder appears whole or not at all.

The names that EcoG's stack reads are compared with its own script's in tests/interop; those of EVerest are
listed here as its test PKI script and the EvseSecurity manifest's defaults have them.
"""

from __future__ import annotations

import itertools
import json
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from v2gpki.certs.chain import load_certificates
from v2gpki.errors import V2GPKIError
from v2gpki.services.export import export_editions, export_layout, layout_names, load_layout
from v2gpki.services.export.folder import aside
from v2gpki.services.export.layout import read_layout
from v2gpki.wiring import CertificateAuthority

CLOCK = v2gpki.FixedClock(BIRTH)

#: EVerest: names that its station and its simulated vehicle read in the -2 test set-up.
EVEREST_ISO2 = {
    "ca/v2g/V2G_ROOT_CA.pem",
    "ca/mo/MO_ROOT_CA.pem",
    "ca/cso/CPO_SUB_CA1.pem",
    "ca/cso/CPO_SUB_CA2.pem",
    "client/cso/SECC_LEAF.pem",
    "client/cso/SECC_LEAF.key",
    "client/cso/CPO_CERT_CHAIN.pem",
    "client/cso/SECC_LEAF_PASSWORD.txt",
    "ca/oem/OEM_ROOT_CA.pem",
    "ca/oem/OEM_SUB_CA1.pem",
    "ca/oem/OEM_SUB_CA2.pem",
    "ca/oem/OEM_CERT_CHAIN.pem",
    "ca/oem/INTERMEDIATE_OEM_CA.pem",
    "client/oem/OEM_LEAF.pem",
    "client/oem/OEM_LEAF.der",
    "client/oem/OEM_LEAF.key",
    "client/oem/OEM_LEAF_PASSWORD.txt",
    "client/oem/OEM_CERT_CHAIN.p12",
    "client/mo/MO_LEAF.pem",
    "client/mo/MO_LEAF.der",
    "client/mo/MO_LEAF.key",
    "client/mo/MO_LEAF_PASSWORD.txt",
    "client/mo/MO_CERT_CHAIN.p12",
    "ca/mo/MO_SUB_CA1.pem",
    "ca/mo/MO_SUB_CA2.pem",
    "ca/mo/INTERMEDIATE_MO_CA_CERTS.pem",
    "client/cps/CPS_LEAF.pem",
    "client/cps/CPS_LEAF.key",
    "client/cps/CPS_CERT_CHAIN.p12",
}
EVEREST_VEHICLE = {
    "ca/vehicle/VEHICLE_SUB_CA1.pem",
    "ca/vehicle/VEHICLE_SUB_CA2.pem",
    "ca/vehicle/VEHICLE_SUB_CA1.der",
    "ca/vehicle/VEHICLE_SUB_CA2.der",
    "client/vehicle/VEHICLE_LEAF.pem",
    "client/vehicle/VEHICLE_LEAF.der",
    "client/vehicle/VEHICLE_LEAF.key",
    "client/vehicle/VEHICLE_CERT_CHAIN.pem",
    "client/vehicle/VEHICLE_LEAF_PASSWORD.txt",
}


@pytest.fixture(scope="module")
def authority(home_all: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CertificateAuthority]:
    home = tmp_path_factory.mktemp("export") / "home"
    shutil.copytree(home_all, home)
    with v2gpki.open_authority(home, passphrase=PASSPHRASE, clock=CLOCK) as opened:
        yield opened


def founded(home: Path, lab: Path | None = None) -> CertificateAuthority:
    """A fresh -2 home, as a lab file describes it."""
    authority = v2gpki.open_authority(home, passphrase=PASSPHRASE, create=True, clock=CLOCK)
    authority.initialise(authority.plan(["iso15118-2"], lab=lab), org="Acme")
    return authority


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def certificates(data: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM or DER file, by the library."""
    if data.startswith(b"-----"):
        return x509.load_pem_x509_certificates(data)
    return [x509.load_der_x509_certificate(data)]


def spki(key: PublicKeyTypes) -> bytes:
    """DER SubjectPublicKeyInfo."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def public(key: PrivateKeyTypes | None) -> bytes:
    """The public half of a private key, as DER SubjectPublicKeyInfo."""
    assert key is not None
    return spki(key.public_key())


def common_name(certificate: x509.Certificate) -> str:
    """The CN of the subject."""
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def issued(authority: CertificateAuthority) -> int:
    """How many certificates the home has issued."""
    return sum(1 for _ in authority.store.find_certificates())


def actions(authority: CertificateAuthority) -> list[tuple[str, str]]:
    """(action, target) of the audit log."""
    return [(row.action, row.target) for row in authority.store.audit_rows()]


# -- what is in the files ----------------------------------------------------------------------


def test_each_key_opens_with_its_password_and_fits_its_certificate(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    export_layout(authority, "josev", tmp_path / "pki")
    found = files(tmp_path / "pki")
    for leaf in ("seccLeaf", "contractLeaf", "oemLeaf", "cpsLeaf"):
        password = found[f"iso15118_2/private_keys/{leaf}Password.txt"].splitlines()[0]
        assert len(password) >= 20
        pem = found[f"iso15118_2/private_keys/{leaf}.key"]
        assert pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
        key = serialization.load_pem_private_key(pem, password)
        (certificate,) = certificates(found[f"iso15118_2/certs/{leaf}Cert.der"])
        assert public(key) == spki(certificate.public_key())


def test_chains_run_from_the_leaf_to_sub_ca_1(authority: CertificateAuthority, tmp_path: Path) -> None:
    export_layout(authority, "josev", tmp_path / "pki")
    found = {name.removeprefix("iso15118_2/certs/"): data for name, data in files(tmp_path / "pki").items()}
    for branch, leaf, chain in (
        ("cpo", "seccLeaf", "cpoCertChain.pem"),
        ("oem", "oemLeaf", "oemCertChain.pem"),
        ("mo", "contractLeaf", "intermediateMOCACerts.pem"),
        ("cps", "cpsLeaf", "intermediateCPSCACerts.pem"),
    ):
        names = (f"{leaf}Cert", f"{branch}SubCA2Cert", f"{branch}SubCA1Cert")
        expected = [certificates(found[f"{name}.der"])[0] for name in names]
        assert certificates(found[chain]) == (expected if "Chain" in chain else expected[1:])
        root = "v2gRootCACert" if branch in ("cpo", "cps") else f"{branch}RootCACert"
        for lower, upper in zip(expected, [*expected[1:], *certificates(found[f"{root}.der"])], strict=True):
            lower.verify_directly_issued_by(upper)
        constraints = [c.extensions.get_extension_for_class(x509.BasicConstraints).value for c in expected]
        assert [c.ca for c in constraints] == [False, True, True]
        assert [c.path_length for c in constraints[1:]] == [0, 1]


def test_pem_and_der_hold_the_same(authority: CertificateAuthority, tmp_path: Path) -> None:
    for layout in layout_names():
        export_layout(authority, layout, tmp_path / layout)
        found = files(tmp_path / layout)
        pairs = [name for name in found if name.endswith(".der") and f"{name[:-4]}.pem" in found]
        assert len(pairs) >= 13
        for name in pairs:
            assert load_certificates(found[f"{name[:-4]}.pem"]) == [found[name]]


def test_pkcs12_holds_key_leaf_and_sub_cas(authority: CertificateAuthority, tmp_path: Path) -> None:
    export_layout(authority, "everest", tmp_path / "pki", password="123456")
    found = files(tmp_path / "pki")
    bundle = pkcs12.load_pkcs12(found["client/oem/OEM_CERT_CHAIN.p12"], b"123456")
    assert bundle.cert is not None
    assert bundle.cert.friendly_name == b"oem_prov_cert"
    assert [bundle.cert.certificate] == certificates(found["client/oem/OEM_LEAF.pem"])
    assert public(bundle.key) == spki(bundle.cert.certificate.public_key())
    above = {extra.certificate for extra in bundle.additional_certs}
    assert above == set(certificates(found["ca/oem/INTERMEDIATE_OEM_CA.pem"]))
    assert len(above) == 2


def test_everest_names(authority: CertificateAuthority, tmp_path: Path) -> None:
    export_layout(authority, "everest", tmp_path / "two")
    two = set(files(tmp_path / "two"))
    assert two >= EVEREST_ISO2
    assert not any("vehicle" in name for name in two)
    assert {"ca/csms/CSMS_ROOT_CA.pem", "ca/mf/MF_ROOT_CA.pem"} <= two


@pytest.mark.parametrize("suite", ["p521", "ed448"])
def test_everest_of_iso15118_20_has_the_vehicle_too(
    authority: CertificateAuthority, tmp_path: Path, suite: str
) -> None:
    exported = export_layout(authority, "everest", tmp_path / "pki", edition="iso15118-20", suite=suite)
    assert exported.suite == suite
    found = files(tmp_path / "pki")
    assert set(found) >= EVEREST_ISO2 | EVEREST_VEHICLE
    key = serialization.load_pem_private_key(
        found["client/vehicle/VEHICLE_LEAF.key"], found["client/vehicle/VEHICLE_LEAF_PASSWORD.txt"].strip()
    )
    (leaf,) = certificates(found["client/vehicle/VEHICLE_LEAF.pem"])
    assert public(key) == spki(leaf.public_key())
    assert {"p521": "EC", "ed448": "Ed448"}[suite] in type(key).__name__


@pytest.mark.parametrize("suite", ["p521", "ed448"])
def test_josev_of_iso15118_20_has_the_folder_of_its_script_and_the_vehicle(
    authority: CertificateAuthority, tmp_path: Path, suite: str
) -> None:
    export_layout(authority, "josev", tmp_path / "pki", edition="iso15118-20", suite=suite)
    found = files(tmp_path / "pki")
    assert {Path(name).parts[0] for name in found} == {"iso15118_20", "ocsp", "manifest.json"}
    chain = certificates(found["iso15118_20/certs/vehicleCertChain.pem"])
    root = certificates(found["iso15118_20/certs/vehicleRootCACert.pem"])
    for lower, upper in itertools.pairwise(chain + root):
        lower.verify_directly_issued_by(upper)
    key = serialization.load_pem_private_key(
        found["iso15118_20/private_keys/vehicleLeaf.key"],
        found["iso15118_20/private_keys/vehicleLeafPassword.txt"].strip(),
    )
    assert public(key) == spki(chain[0].public_key())


@pytest.mark.parametrize(
    ("layout", "edition", "folder", "chain"),
    [
        ("everest", "iso15118-2", "client/cso/ocsp", "client/cso/CPO_CERT_CHAIN.pem"),
        ("everest", "iso15118-20", "client/cso/ocsp", "client/cso/CPO_CERT_CHAIN.pem"),
        ("josev", "iso15118-2", "ocsp", "iso15118_2/certs/cpoCertChain.pem"),
        ("josev", "iso15118-20", "ocsp", "iso15118_20/certs/cpoCertChain.pem"),
    ],
)
def test_staples_for_each_certificate_of_the_station(
    authority: CertificateAuthority, tmp_path: Path, layout: str, edition: str, folder: str, chain: str
) -> None:
    export_layout(authority, layout, tmp_path / "pki", edition=edition)
    found = files(tmp_path / "pki")
    cached = {name: data for name, data in found.items() if str(Path(name).parent) == folder}
    answers = {name: ocsp.load_der_ocsp_response(data) for name, data in cached.items() if name.endswith(".der")}
    assert {answer.serial_number for answer in answers.values()} == {
        one.serial_number for one in certificates(found[chain])
    }
    assert len(cached) == 6
    for name, answer in answers.items():
        assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD
        assert answer.next_update_utc is not None
        assert answer.this_update_utc <= BIRTH < answer.next_update_utc
        lines = cached[name.removesuffix("der") + "hash"].decode().splitlines()
        # As libevse-security writes them: algorithm, name hash, key hash, serial; hexadecimal.
        assert lines[0] == "SHA256"
        assert lines[1:3] == [answer.issuer_name_hash.hex(), answer.issuer_key_hash.hex()]
        assert int(lines[3], 16) == answer.serial_number


def test_a_station_that_nobody_answers_about_has_no_staples(tmp_path: Path) -> None:
    with founded(tmp_path / "home") as authority:
        export_layout(authority, "everest", tmp_path / "first")

    class Silent:
        def __getattr__(self, name: str) -> object:
            return getattr(authority, name)

        def staples(self, chain: object) -> object:
            raise V2GPKIError("ocsp.no_staple", "a test")

    with v2gpki.open_authority(tmp_path / "home", passphrase=PASSPHRASE, clock=CLOCK) as authority:
        exported = export_layout(Silent(), "everest", tmp_path / "pki")  # type: ignore[arg-type]  # all but one method
    assert "no OCSP responses to staple were written: a test" in exported.warnings
    assert not (tmp_path / "pki/client/cso/ocsp").exists()


# -- several editions --------------------------------------------------------------------------


def test_several_editions_get_a_subfolder_each(authority: CertificateAuthority, tmp_path: Path) -> None:
    ids = {"secc": "DE*ICE*E45B*78C", "vehicle": "WABV0000000000000009"}
    both = export_editions(
        authority, "everest", tmp_path / "pki", ["iso15118-2", "iso15118-20"], suite="ed448", ids=ids, password="one"
    )
    assert [(one.edition, one.suite, one.folder) for one in both] == [
        ("iso15118-2", "p256", tmp_path / "pki/iso15118-2"),
        ("iso15118-20", "ed448", tmp_path / "pki/iso15118-20"),
    ]
    found = files(tmp_path / "pki")
    for one in both:
        manifest = json.loads(found[f"{one.edition}/manifest.json"])
        assert manifest == one.manifest()
        assert {entry["path"] for entry in manifest["files"]} | {"manifest.json"} == set(files(one.folder))
        (leaf,) = certificates(found[f"{one.edition}/client/cso/SECC_LEAF.pem"])
        assert common_name(leaf) == "DE*ICE*E45B*78C"
        assert found[f"{one.edition}/client/cso/SECC_LEAF_PASSWORD.txt"] == b"one\n"
    (vehicle,) = certificates(found["iso15118-20/client/vehicle/VEHICLE_LEAF.pem"])
    assert common_name(vehicle) == "WABV0000000000000009"
    assert json.loads(found["manifest.json"])["exports"] == [
        {"edition": "iso15118-2", "folder": "iso15118-2"},
        {"edition": "iso15118-20", "folder": "iso15118-20"},
    ]
    for path in (tmp_path / "pki").rglob("*"):
        assert not path.is_dir() or stat.S_IMODE(path.stat().st_mode) == 0o700
    # an export of ours is replaced, on request
    with pytest.raises(V2GPKIError) as caught:
        export_editions(authority, "everest", tmp_path / "pki", ["iso15118-2", "iso15118-20"])
    assert caught.value.code == "file.exists"
    export_editions(authority, "everest", tmp_path / "pki", ["iso15118-20", "iso15118-2"], force=True)


@pytest.mark.parametrize(
    ("editions", "ids", "code"),
    [
        (["iso15118-2", "ocpp"], {}, "export.wrong_edition"),
        (["iso15118-2", "iso15118-20"], {"van": "WABV0000000000000009"}, "export.unwanted_id"),
        (["iso15118-2", "iso15118-20"], {"contract": "short"}, "identifier.invalid"),
    ],
)
def test_refusals_of_several_issue_and_write_nothing(
    authority: CertificateAuthority, tmp_path: Path, editions: list[str], ids: dict[str, str], code: str
) -> None:
    before = issued(authority)
    with pytest.raises(V2GPKIError) as caught:
        export_editions(authority, "everest", tmp_path / "pki", editions, ids=ids)
    assert caught.value.code == code
    assert issued(authority) == before
    assert list(tmp_path.iterdir()) == []


def test_the_identifiers_of_the_user_stand_in_the_certificates(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    ids = {"secc": "DE*ICE*E45B*78C", "contract": "de-8aa-001234567", "oem": "WP012345678901234"}
    exported = export_layout(authority, "josev", tmp_path / "pki", ids=ids)
    found = files(tmp_path / "pki")
    names = {leaf: common_name(certificates(found[f"iso15118_2/certs/{leaf}LeafCert.der"])[0]) for leaf in ids}
    assert names == {"secc": "DE*ICE*E45B*78C", "contract": "DE8AA001234567", "oem": "WP012345678901234"}
    assert {(leaf, identifier) for leaf, identifier, _ in exported.issued} >= set(names.items())


def test_the_manifest_names_every_file_and_its_fingerprints(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    exported = export_layout(authority, "josev", tmp_path / "pki")
    found = files(tmp_path / "pki")
    manifest = json.loads(found.pop("manifest.json"))
    assert next(iter(manifest)) == "schema"
    assert manifest["schema"] == "v2gpki/export/1"
    assert manifest["created_at"] == "2026-03-01T12:00:00Z"
    assert {entry["path"] for entry in manifest["files"]} == set(found)
    assert manifest == exported.manifest()
    for entry in manifest["files"]:
        if entry["kind"] == "staples":
            assert not entry["secret"]
        elif entry["kind"] == "certificates":
            expected = [c.fingerprint(hashes.SHA256()).hex() for c in certificates(found[entry["path"]])]
            assert entry["fingerprints"] == expected
            assert not entry["secret"]
        else:
            assert entry["secret"]


# -- secrets -----------------------------------------------------------------------------------


def test_modes(authority: CertificateAuthority, tmp_path: Path) -> None:
    folder = export_layout(authority, "josev", tmp_path / "pki").folder
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_dir():
            assert mode == 0o700, path
        elif path.suffix in (".key", ".txt", ".p12"):
            assert mode == 0o600, path


def test_the_home_keeps_no_key_of_an_export(authority: CertificateAuthority, tmp_path: Path) -> None:
    assert authority.vault is not None
    before = authority.vault.key_ids()
    exported = export_layout(authority, "josev", tmp_path / "pki")
    assert authority.vault.key_ids() == before
    for _, identifier, serial in exported.issued:
        (record,) = authority.store.find_certificates(prefix=serial)
        assert (record.identifier, record.key_id) == (identifier, "")


def test_no_ca_key_leaves_without_being_asked_for(authority: CertificateAuthority, tmp_path: Path) -> None:
    export_layout(authority, "josev", tmp_path / "pki")
    found = files(tmp_path / "pki")
    assert {name for name in found if name.endswith(".key")} == {
        f"iso15118_2/private_keys/{leaf}Leaf.key" for leaf in ("secc", "contract", "oem", "cps")
    }
    assert "iso15118_2/private_keys/moSubCA2.pkcs8.der" not in found
    # the stack opens this password file even so
    assert "iso15118_2/private_keys/moSubCA2LeafPassword.txt" in found
    assert not [action for action, _ in actions(authority) if action == "key.exported"]


def test_ca_keys_on_demand_fit_and_are_in_the_audit_log(tmp_path: Path) -> None:
    with founded(tmp_path / "home") as authority:
        export_layout(authority, "josev", tmp_path / "pki", ca_keys=True, password="12345")
        logged = actions(authority)
    found = files(tmp_path / "pki")
    keys = [name for name in found if name.endswith(".key") and "CA" in name]
    assert len(keys) == 11
    for name in keys:
        key = serialization.load_pem_private_key(found[name], b"12345")
        (certificate,) = certificates(found[name.replace("private_keys", "certs").replace(".key", "Cert.der")])
        assert public(key) == spki(certificate.public_key()), name
    der = serialization.load_der_private_key(found["iso15118_2/private_keys/moSubCA2.pkcs8.der"], b"12345")
    pem = serialization.load_pem_private_key(found["iso15118_2/private_keys/moSubCA2.key"], b"12345")
    assert public(der) == public(pem)
    branches = ("cpo", "cps", "mo", "oem")
    owners = {f"iso2-{branch}-sub-ca-{n}@1" for branch in branches for n in (1, 2)}
    owners |= {"iso2-v2g-root@1", "iso2-mo-root@1", "iso2-oem-root@1"}
    exported = [target for action, target in logged if action == "key.exported"]
    assert sorted(exported) == sorted(owners)


def test_no_secret_is_in_the_answer(authority: CertificateAuthority, tmp_path: Path) -> None:
    exported = export_layout(authority, "josev", tmp_path / "pki", password="hush-hush-hush", ca_keys=True)
    assert "hush" not in json.dumps(exported.manifest())
    assert "hush" not in repr(exported)


@pytest.mark.parametrize("password", ["", " ", "two\nlines", "blank ", "\x07bell", "x" * 129])
def test_passwords_that_these_stacks_cannot_read(
    authority: CertificateAuthority, tmp_path: Path, password: str
) -> None:
    with pytest.raises(V2GPKIError) as caught:
        export_layout(authority, "josev", tmp_path / "pki", password=password)
    assert caught.value.code == "export.bad_password"
    assert not password.strip() or password not in str(caught.value)
    assert not (tmp_path / "pki").exists()


# -- refusals before anything is issued ----------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "arguments", "code"),
    [
        ("rise", {}, "export.unknown_layout"),
        ("josev", {"edition": "ocpp"}, "export.wrong_edition"),
        ("josev", {"edition": "lab-ecog-20"}, "authority.unknown_issuer"),
        ("josev", {"suite": "p521"}, "profile.unknown_suite"),
        ("josev", {"ids": {"contract": "DE-ABC-C0000000"}}, "identifier.invalid"),
        ("josev", {"ids": {"vehicle": "WABV0000000000000001"}}, "export.unwanted_id"),
        ("everest", {"ids": {"vehicle": "WABV0000000000000001"}}, "export.unwanted_id"),
    ],
)
def test_refusals_issue_and_write_nothing(
    authority: CertificateAuthority, tmp_path: Path, layout: str, arguments: Mapping[str, object], code: str
) -> None:
    before = issued(authority)
    with pytest.raises(V2GPKIError) as caught:
        export_layout(authority, layout, tmp_path / "pki", **arguments)  # type: ignore[arg-type]  # as parametrised
    assert caught.value.code == code
    assert issued(authority) == before
    assert list(tmp_path.iterdir()) == []


def test_a_hierarchy_with_one_sub_ca_is_too_short(tmp_path: Path) -> None:
    lab = tmp_path / "lab.toml"
    branches = "".join(
        f'[hierarchy.branch.{name}]\nroot = "{root}"\nsub_cas = {count}\n{held}'
        for name, root, count, held in (
            ("cpo", "v2g-root", 2, ""),
            ("cps", "v2g-root", 2, 'held = ["cps"]\n'),
            ("mo", "mo-root", 1, ""),
            ("oem", "oem-root", 2, ""),
        )
    )
    lab.write_text(
        '[[hierarchy]]\nname = "default"\neditions = ["iso15118-2"]\n'
        f'[hierarchy.branch.v2g]\nroot = "v2g-root"\n{branches}',
        "utf-8",
    )
    with founded(tmp_path / "home", lab) as authority:
        before = issued(authority)
        with pytest.raises(V2GPKIError) as caught:
            export_layout(authority, "josev", tmp_path / "pki")
        assert caught.value.code == "export.chain_too_short"
        assert caught.value.facts["file"] == "iso15118_2/certs/moSubCA1Cert.pem"
        assert issued(authority) == before


def test_an_mo_under_the_v2g_root_has_that_root(tmp_path: Path) -> None:
    lab = tmp_path / "lab.toml"
    lab.write_text(
        '[[hierarchy]]\nname = "default"\neditions = ["iso15118-2"]\n[hierarchy.branch.v2g]\nroot = "v2g-root"\n'
        + "".join(
            f'[hierarchy.branch.{name}]\nroot = "v2g-root"\nsub_cas = 2\n' for name in ("cpo", "cps", "mo", "oem")
        ),
        "utf-8",
    )
    with founded(tmp_path / "home", lab) as authority:
        export_layout(authority, "josev", tmp_path / "pki")
    certs = tmp_path / "pki" / "iso15118_2" / "certs"
    assert (certs / "moRootCACert.der").read_bytes() == (certs / "v2gRootCACert.der").read_bytes()


def test_a_locked_home_exports_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    founded(home).close()
    with v2gpki.open_authority(home, clock=CLOCK) as authority:
        for ca_keys in (False, True):
            with pytest.raises(V2GPKIError) as caught:
                export_layout(authority, "josev", tmp_path / "pki", ca_keys=ca_keys)
            assert caught.value.code == "home.locked"
    assert {path.name for path in tmp_path.iterdir()} == {"home"}


# -- the folder ----------------------------------------------------------------------------------


def test_an_existing_folder_is_refused_before_anything_is_issued(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    (tmp_path / "pki").mkdir()
    before = issued(authority)
    with pytest.raises(V2GPKIError) as caught:
        export_layout(authority, "josev", tmp_path / "pki")
    assert caught.value.code == "file.exists"
    assert issued(authority) == before


def test_force_replaces_an_earlier_export_whole(authority: CertificateAuthority, tmp_path: Path) -> None:
    first = export_layout(authority, "everest", tmp_path / "pki")
    second = export_layout(authority, "josev", tmp_path / "pki", force=True)
    found = set(files(tmp_path / "pki"))
    assert found == {entry.path for entry in second.files} | {"manifest.json"}
    assert not found & {entry.path for entry in first.files}
    assert {path.name for path in tmp_path.iterdir()} == {"pki"}


def test_force_spares_what_no_export_wrote(authority: CertificateAuthority, tmp_path: Path) -> None:
    precious = tmp_path / "pki"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work", "utf-8")
    with pytest.raises(V2GPKIError) as caught:
        export_layout(authority, "josev", precious, force=True)
    assert caught.value.code == "file.exists"
    assert files(precious) == {"thesis.txt": b"years of work"}


def test_a_failure_leaves_the_place_as_it_was(authority: CertificateAuthority, tmp_path: Path) -> None:
    export_layout(authority, "josev", tmp_path / "pki")
    before = files(tmp_path / "pki")

    def half_written() -> None:
        with aside(tmp_path / "pki", force=True) as staging:
            staging.write("certs/one.pem", b"one", secret=False)
            staging.write("certs/one.pem/two.pem", b"two", secret=False)

    with pytest.raises(V2GPKIError) as caught:
        half_written()
    assert caught.value.code == "file.unwritable"
    assert files(tmp_path / "pki") == before
    assert {path.name for path in tmp_path.iterdir()} == {"pki"}


def test_a_place_that_cannot_be_written_is_found_before_anything_is_issued(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    before = issued(authority)
    with pytest.raises(V2GPKIError) as caught:
        export_layout(authority, "josev", tmp_path / "file" / "pki")
    assert caught.value.code == "file.unwritable"
    assert issued(authority) == before


# -- layouts as data -----------------------------------------------------------------------------

GOOD: Mapping[str, object] = {
    "title": "t",
    "editions": ["iso15118-2"],
    "leafs": {"secc": {"role": "secc"}},
    "certificates": {"a.pem": "secc.chain"},
}


def test_the_built_in_layouts_are_well_formed() -> None:
    assert layout_names() == ("everest", "josev")
    for name in layout_names():
        assert load_layout(name).files


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"certificate": {}}, "unknown key certificate"),
        ({"certificates": {"../a.pem": "secc"}}, "no file name"),
        ({"certificates": {"/etc/a.pem": "secc"}}, "no file name"),
        ({"certificates": {"a.txt": "secc"}}, "no file name"),
        ({"certificates": {"a.pem": "cps"}}, "cannot hold 'cps'"),
        ({"certificates": {"a.pem": "secc.sub-ca-3"}}, "cannot hold"),
        ({"certificates": {"a.der": "secc.chain"}}, "cannot hold"),
        ({"keys": {"a.key": "secc.root"}}, "cannot hold"),
        ({"ca-keys": {"a.key": "secc"}}, "cannot hold"),
        ({"pkcs12": {"a.p12": "secc"}}, "has a leaf and a name"),
        ({"roots": {"a.pem": "csms-root"}}, "stands there twice"),
        ({"staples": {"ocsp.der": "secc"}}, "no file name"),
        ({"staples": {"ocsp": "secc.chain"}}, "cannot hold"),
        ({"leafs": {"secc": {"rôle": "secc"}}}, "has role, id and optional"),
    ],
)
def test_a_mistake_in_a_layout_is_named(changed: Mapping[str, object], reason: str) -> None:
    read_layout("good", GOOD)
    with pytest.raises(ValueError, match=reason):
        read_layout("bad", {**GOOD, **changed})
