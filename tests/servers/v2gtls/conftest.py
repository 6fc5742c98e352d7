"""One PKI for all tests of TLS, and one of the same names that nobody trusts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.v2gtls.bench import Pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pki]:
    """Ours."""
    made = Pki(tmp_path_factory.mktemp("v2gtls") / "home")
    yield made
    made.ca.close()


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pki]:
    """Another one with the same names and other keys."""
    made = Pki(tmp_path_factory.mktemp("stranger") / "home")
    yield made
    made.ca.close()
