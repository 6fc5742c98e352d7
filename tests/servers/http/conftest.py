"""What the tests of the services share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE


@pytest.fixture(scope="session")
def foreign_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of another organisation, with keys of its own; never written to by tests."""
    folder = tmp_path_factory.mktemp("foreign") / "home"
    with v2gpki.open_authority(
        folder, passphrase=PASSPHRASE, create=True, clock=v2gpki.FixedClock(BIRTH), caller="test"
    ) as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org="Other Mobility")
    return folder


@pytest.fixture
def foreign(
    opened: Callable[[Path], v2gpki.CertificateAuthority], foreign_home: Path
) -> v2gpki.CertificateAuthority:
    """An opened copy of the other organisation's home."""
    return opened(foreign_home)
