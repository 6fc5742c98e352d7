"""Every test of this folder names its foreign programs: ``pytest.mark.interop("openssl")``.

Before such a test starts, each need is there or the test fails (or is skipped when a person tolerates
the absence); the run ends with the table need x tests x passed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.conftest import PASSPHRASE
from tests.interop.minted import Minted, mint
from tests.interop.needs import NeedMissingError, Needs, tolerated
from tests.servers.http.conftest import foreign, foreign_home
from v2gpki.services.export import export_layout
from v2gpki.wiring import CertificateAuthority, open_authority

__all__ = ["foreign", "foreign_home"]

_NEEDS = Needs()


def _named(item: pytest.Item) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for mark in item.iter_markers("interop") for name in mark.args))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Settle the needs of one test before any of its fixtures is built."""
    if item.get_closest_marker("interop") is None:
        return
    if not _named(item):
        pytest.fail('name the foreign program: @pytest.mark.interop("openssl"), see needs.toml', pytrace=False)
    for name in _named(item):
        try:
            _NEEDS.ensure(name)
        except NeedMissingError as missing:
            if name in tolerated():
                pytest.skip(f"tolerated: {missing}")
            pytest.fail(str(missing), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count what the summary shows: one test, when its call ended or its set-up did not succeed."""
    report = yield
    if report.when == "call" or (report.when == "setup" and not report.passed):
        _NEEDS.count(_named(item), passed=report.when == "call" and report.passed)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End the run with need x tests x passed."""
    if lines := _NEEDS.summary():
        terminalreporter.section("foreign programs")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def ecog_python() -> Path:
    """The interpreter of EcoG's own environment."""
    return _NEEDS.environment("ecog") / "bin" / "python"


@pytest.fixture(scope="session")
def sslyze_python() -> Path:
    """The interpreter of SSLyze's own environment."""
    return _NEEDS.environment("sslyze") / "bin" / "python"


@pytest.fixture(scope="session")
def minted(tmp_path_factory: pytest.TempPathFactory) -> list[Minted]:
    """Every certificate of a home that has every edition, family and role."""
    return mint(tmp_path_factory.mktemp("minted") / "home")


@pytest.fixture(scope="session")
def emaid() -> str:
    """The contract's identifier, as messages carry it."""
    return "DEABCC12345678"


@pytest.fixture(scope="session")
def ecog_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CertificateAuthority]:
    """A home of today, since EcoG's programs read the machine's clock: -2 and the P-256 chains for its -20 sessions."""
    home = tmp_path_factory.mktemp("ecog") / "home"
    with open_authority(home, passphrase=PASSPHRASE, create=True) as authority:
        authority.initialise(authority.plan(["iso15118-2", "lab-ecog-20"]), org="Acme")
        yield authority


@pytest.fixture(scope="session")
def josev(ecog_home: CertificateAuthority, emaid: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``export --layout josev`` writes by itself."""
    folder = tmp_path_factory.mktemp("josev") / "pki"
    return export_layout(ecog_home, "josev", folder, ids={"contract": emaid}).folder


@pytest.fixture(scope="session")
def josev_with_ca_keys(ecog_home: CertificateAuthority, emaid: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with CA keys, under a password of one's own."""
    folder = tmp_path_factory.mktemp("josev") / "with-ca-keys"
    exported = export_layout(ecog_home, "josev", folder, ids={"contract": emaid}, password="12345", ca_keys=True)
    return exported.folder


@pytest.fixture(scope="session")
def josev_20(ecog_home: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The laboratory edition's export, for EcoG's -20 sessions."""
    folder = tmp_path_factory.mktemp("josev") / "lab-20"
    return export_layout(ecog_home, "josev", folder, edition="lab-ecog-20").folder
