"""What sdist and wheel hold, and that the wheel works alone, outside the checkout, with the profiles inside it.

Nothing is downloaded: the dependencies are lent by the environment of this run. The CI stage ``wheel``
(scripts/wheel_check.py) does the same with dependencies that pip resolves and installs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.house.tree import ROOT, tracked_files


def run(command: Sequence[str | Path], place: Path) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "V2GPKI_"))}
    own = {"V2GPKI_HOME": str(place / "home"), "V2GPKI_PASSPHRASE": "a passphrase of this test only"}
    done = subprocess.run(
        [str(part) for part in command], cwd=place, env=kept | own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheel")


@pytest.fixture(scope="module")
def built(place: Path) -> tuple[Path, Path]:
    """sdist and wheel; the wheel is built from the unpacked sdist, as a user of the sdist would."""
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", place / "dist", ROOT], place)
    (sdist,) = (place / "dist").glob("*.tar.gz")
    (wheel,) = (place / "dist").glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def command(place: Path, built: tuple[Path, Path]) -> Path:
    """``v2gpki`` of an environment that has the wheel and borrows its dependencies.

    A .pth file makes a folder importable without reading the .pth files in it: the editable install of the
    checkout stays out of sight.
    """
    empty = place / "empty"
    run([sys.executable, "-m", "venv", "--without-pip", empty], place)
    inside = empty / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", inside]
    run([*pip, "install", "-q", "--no-deps", "--no-index", built[1]], place)
    own = Path(run([inside, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], place).strip())
    (own / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return empty / "bin" / "v2gpki"


def test_the_wheel_holds_the_package_the_profiles_and_nothing_else(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        names = set(wheel.namelist())
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        described = wheel.read(metadata).decode()
    assert {name.split("/")[0] for name in names} == {"v2gpki", metadata.split("/")[0]}
    tracked = [path.relative_to(ROOT) for path in tracked_files()]
    assert {str(path) for path in tracked if path.parts[0] == "v2gpki"} <= names
    profiles = {f"v2gpki/_profiles/{path.relative_to('profiles')}" for path in tracked if path.parts[0] == "profiles"}
    assert len(profiles) > 40
    assert profiles <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "Requires-Python: >=3.11" in described
    assert "Requires-Dist: cryptography>=46" in described


def test_the_sdist_holds_what_its_tests_need(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as sdist:
        names = {name.split("/", 1)[1] for name in sdist.getnames()}
    tracked = {str(path.relative_to(ROOT)) for path in tracked_files()}
    outside = {name for name in tracked if name.startswith(".") and name != ".gitignore"}
    assert sorted(tracked - outside - names) == []
    assert [name for name in names if name.startswith((".venv", ".git/", "dist"))] == []


def test_the_wheel_alone_mints_an_ecosystem(place: Path, command: Path) -> None:
    where = run([command.with_name("python"), "-c", "import v2gpki; print(v2gpki.__file__)"], place)
    assert where.startswith(str(place))
    assert "v2gpki" in run([command, "--version"], place)
    run([command, "init", "--edition", "iso15118-2"], place)
    listed = run([command, "ca", "list", "--json"], place)
    assert "iso2-v2g-root" in listed
