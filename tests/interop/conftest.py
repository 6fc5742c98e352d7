"""Every test of this folder names its foreign programs: ``pytest.mark.interop("openssl")``.

Before such a test starts, each need is there or the test fails (or is skipped when a person tolerates
the absence); the run ends with the table need x tests x passed.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.interop.needs import NeedMissingError, Needs, tolerated

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
