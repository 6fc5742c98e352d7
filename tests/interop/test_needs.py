"""The machinery of needs: it never passes over a missing program in silence, and it leaves no process behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.interop import needs
from tests.interop.needs import Need, NeedMissingError, Needs
from tests.interop.process import ForeignProcess, group_members

PRESENT = Need("present", "Python itself", (("{python}", "-c", "print('here')"),), expect="here")
ABSENT = Need("absent", "A program nobody has", (("v2gpki-no-such-program",),), mend="install it")
WRONG = Need("wrong", "Python, too old", (("{python}", "-c", "print('here')"),), expect="there")


def table(*rows: Need, folder: Path = Path("unused")) -> Needs:
    return Needs({row.name: row for row in rows}, folder)


def test_a_need_that_is_there_is_accepted() -> None:
    table(PRESENT).ensure("present")


@pytest.mark.parametrize("need", [ABSENT, WRONG])
def test_a_missing_need_is_refused_and_says_how_to_mend_it(need: Need) -> None:
    with pytest.raises(NeedMissingError, match=f"{need.title} .{need.name}. is missing") as caught:
        table(need).ensure(need.name)
    assert f"mend it with: {need.mend}" in str(caught.value)


def test_what_a_need_requires_comes_first() -> None:
    needing = Need("needing", "needs another", PRESENT.probes, requires=("absent",))
    with pytest.raises(NeedMissingError, match="A program nobody has"):
        table(needing, ABSENT).ensure("needing")


def test_an_unknown_need_is_refused() -> None:
    with pytest.raises(NeedMissingError, match="no need called 'opnessl'"):
        table(PRESENT).ensure("opnessl")


def test_one_of_several_probes_is_enough() -> None:
    table(Need("either", "either", (*ABSENT.probes, *PRESENT.probes), expect="here")).ensure("either")


def test_an_environment_without_its_stamp_is_not_used(tmp_path: Path) -> None:
    # a requirement that no index can have: the build fails, and nothing half-built counts as complete
    need = Need("own", "own environment", PRESENT.probes, pip=("v2gpki.invalid/nothing",))
    with pytest.raises(NeedMissingError, match="own environment"):
        table(need, folder=tmp_path).ensure("own")
    assert not (tmp_path / "own" / "complete").exists()


def test_tolerated_names() -> None:
    assert needs.tolerated({needs.TOLERATED: "java, ecog,"}) == {"java", "ecog"}
    assert needs.tolerated({}) == frozenset()


def test_an_unknown_key_in_the_table_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "needs.toml"
    path.write_text('[x]\ntitle = "x"\nprobes = []\nyum = "x"\n', "utf-8")
    with pytest.raises(TypeError, match="yum"):
        needs.load(path)


def test_every_need_can_be_mended() -> None:
    for need in needs.load().values():
        assert need.apt or need.pip or need.mend, need.name


def test_the_summary_counts_tests_and_passes() -> None:
    run = table(PRESENT)
    run.count(["openssl", "ecog"], passed=True)
    run.count(["openssl"], passed=False)
    assert [line.split() for line in run.summary()] == [
        ["need", "tests", "passed"],
        ["ecog", "1", "1"],
        ["openssl", "2", "1"],
    ]
    assert table(PRESENT).summary() == []


def test_children_of_a_foreign_program_end_with_it(tmp_path: Path) -> None:
    # the child refuses SIGTERM and outlives its parent, as a Java machine may
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(9)"
    parent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    with ForeignProcess(
        [sys.executable, "-c", parent], log=tmp_path / "log", cwd=tmp_path, env=dict(os.environ)
    ) as program:
        program.await_line("up", 20)
        assert len(group_members(program.pid)) == 2
    assert group_members(program.pid) == []


def test_a_program_that_dies_early_is_told_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such interface')"]
    with (
        ForeignProcess(command, log=tmp_path / "log", cwd=tmp_path, env=dict(os.environ)) as program,
        pytest.raises(AssertionError, match=r"(?s)ended with 1.*no such interface"),
    ):
        program.await_line("ready", 20)
