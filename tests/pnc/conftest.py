"""The parties of -20: made once from a home, since its families are not in the chain corpus."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from tests.pnc.installation.parties import Parties, parties_2, parties_of


@pytest.fixture(scope="session")
def parties_20(home_all: Path, tmp_path_factory: pytest.TempPathFactory) -> Parties:
    """ISO 15118-20 on P-521."""
    copy = tmp_path_factory.mktemp("installation") / "home"
    shutil.copytree(home_all, copy)
    with v2gpki.open_authority(
        copy, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(BIRTH), caller="test"
    ) as ca:
        return parties_of(ca, "iso15118-20", "p521")


@pytest.fixture
def parties(request: pytest.FixtureRequest) -> Callable[[str], Parties]:
    """The parties of an edition."""

    def of(edition: str) -> Parties:
        if edition == "iso15118-2":
            return parties_2()
        found = request.getfixturevalue("parties_20")
        assert isinstance(found, Parties)
        return found

    return of
