"""What every test shares: deterministic Hypothesis, and homes that were initialised once and are copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import v2gpki

settings.register_profile(
    "v2gpki",
    derandomize=True,
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("v2gpki")

PASSPHRASE = "correct horse battery staple"
#: The moment at which all test homes are made.
BIRTH = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def _initialised(folder: Path, editions: list[str]) -> Path:
    with v2gpki.open_authority(
        folder, passphrase=PASSPHRASE, create=True, clock=v2gpki.FixedClock(BIRTH), caller="test"
    ) as ca:
        ca.initialise(ca.plan(editions), org="Acme")
    return folder


@pytest.fixture(scope="session")
def home_iso2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with everything of ISO 15118-2; never written to by tests."""
    return _initialised(tmp_path_factory.mktemp("iso2") / "home", ["iso15118-2"])


@pytest.fixture(scope="session")
def home_all(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with everything of every conformant edition; never written to by tests."""
    return _initialised(tmp_path_factory.mktemp("all") / "home", ["iso15118-2", "iso15118-20", "ocpp"])


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[Path], v2gpki.CertificateAuthority]]:
    """Opens a private copy of a home, unlocked, with a clock that stands at ``BIRTH``; closed at the end."""
    open_ones: list[v2gpki.CertificateAuthority] = []

    def open_copy(home: Path) -> v2gpki.CertificateAuthority:
        copy = tmp_path / f"home{len(open_ones)}"
        shutil.copytree(home, copy)
        ca = v2gpki.open_authority(copy, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(BIRTH), caller="test")
        open_ones.append(ca)
        return ca

    yield open_copy
    for ca in open_ones:
        ca.close()


@pytest.fixture
def iso2(opened: Callable[[Path], v2gpki.CertificateAuthority], home_iso2: Path) -> v2gpki.CertificateAuthority:
    """An opened copy of the ISO 15118-2 home."""
    return opened(home_iso2)


@pytest.fixture
def everything(opened: Callable[[Path], v2gpki.CertificateAuthority], home_all: Path) -> v2gpki.CertificateAuthority:
    """An opened copy of the home with every edition."""
    return opened(home_all)
