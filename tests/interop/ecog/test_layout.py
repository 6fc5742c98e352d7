"""The names of ``export --layout josev`` are those that EcoG's own script writes; it runs here and now."""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from v2gpki.wiring.pki_folder import station_credentials, vehicle_credentials

pytestmark = pytest.mark.interop("ecog", "openssl")

#: What the script leaves behind and no program reads.
_LEFTOVERS = {"iso15118_2/csrs"}


@pytest.fixture
def scripted(ecog_python: Path, tmp_path: Path) -> Path:
    """The folder that ``create_certs.sh`` of the installed package makes."""
    package = subprocess.run(
        [str(ecog_python), "-c", "import iso15118; print(iso15118.__path__[0])"],
        capture_output=True,
        text=True,
        check=True,
    )
    folder = tmp_path / "pki"
    shutil.copytree(Path(package.stdout.strip()) / "shared" / "pki", folder)
    subprocess.run(["bash", "create_certs.sh", "-v", "iso-2"], cwd=folder, capture_output=True, check=True)
    return folder


def names(folder: Path) -> set[str]:
    """The files below ``iso15118_2``, by their path."""
    files = {path for path in (folder / "iso15118_2").rglob("*") if path.is_file()}
    return {
        str(path.relative_to(folder)) for path in files if str(path.parent.relative_to(folder)) not in _LEFTOVERS
    }


def test_the_same_files_as_the_script(scripted: Path, josev_with_ca_keys: Path) -> None:
    assert names(josev_with_ca_keys) == names(scripted)


def test_without_ca_keys_only_those_are_missing(scripted: Path, josev: Path) -> None:
    missing = names(scripted) - names(josev)
    assert names(josev) <= names(scripted)
    assert missing
    assert all("CA" in Path(name).name and name.startswith("iso15118_2/private_keys/") for name in missing)


def test_we_read_what_the_script_writes(scripted: Path) -> None:
    """Its keys are of the traditional form, encrypted as older OpenSSL does it; there is no manifest."""
    certificates = scripted / "iso15118_2" / "certs"
    leaf = x509.load_der_x509_certificate((certificates / "seccLeafCert.der").read_bytes())
    at = leaf.not_valid_before_utc + timedelta(hours=1)
    station = station_credentials(scripted, at=at, compat="ecog")
    for edition in ("iso15118-2", "lab-ecog-20"):
        (identity,) = station.of(edition)
        assert identity.chain == tuple(
            (certificates / f"{name}Cert.der").read_bytes() for name in ("seccLeaf", "cpoSubCA2", "cpoSubCA1")
        )
        assert identity.root == (certificates / "v2gRootCACert.der").read_bytes()
    assert station.mo_sub_ca_2 is not None
    assert station.roots.mo == ((certificates / "moRootCACert.der").read_bytes(),)
    vehicle = vehicle_credentials(scripted, at=at, compat="ecog")
    (contract,) = vehicle.contracts["iso15118-2"]
    assert contract.chain[0] == (certificates / "contractLeafCert.der").read_bytes()
    assert vehicle.tls("lab-ecog-20").chain[0] == (certificates / "oemLeafCert.der").read_bytes()
