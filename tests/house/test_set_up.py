"""The set-up script on a tiny project: every way of making an environment, kills, company, clear refusals.

Nothing is downloaded: the project has no dependencies and brings its own build backend. Most tests use an
interpreter that cannot put pip into an environment (as Debian's without python3-venv), which is also the fastest.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tiny"
version = "1"
optional-dependencies = { dev = [] }
"""

BACKEND = '''
import zipfile
def build_editable(folder, settings=None, metadata=None):
    name = "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("tiny.py", "PRESENT = True\\n")
        metadata = "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\nProvides-Extra: dev\\n"
        wheel.writestr("tiny-1.dist-info/METADATA", metadata)
        wheel.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("tiny-1.dist-info/RECORD", "")
    return name
build_wheel = build_editable
'''

#: As Debian's python3 without python3-venv: the folder is left broken behind a failure.
NO_ENSUREPIP = """
case "$*" in
    "-m venv --without-pip "*) ;;
    "-m venv "*) mkdir -p "$3/bin"; touch "$3/broken"; exit 1 ;;
esac
"""
NO_PIP = """
case "$*" in "-m pip "*) echo "No module named pip" >&2; exit 1 ;; esac
"""


def executable(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def interpreter(folder: Path, name: str, *cases: str) -> Path:
    return executable(folder / name, "".join(cases) + f'exec "{sys.executable}" "$@"')


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "backend.py").write_text(BACKEND)
    (root / "constraints.txt").write_text("# none\n")
    return root


@pytest.fixture
def python(tmp_path: Path) -> Path:
    return interpreter(tmp_path, "python-without-ensurepip", NO_ENSUREPIP)


def command(project: Path, python: Path) -> list[str]:
    return [sys.executable, str(SCRIPTS / "set_up.py"), "--python", str(python), "--root", str(project)]


def surroundings(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    return kept | {"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", **more}


def set_up(project: Path, python: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(project, python), capture_output=True, text=True, check=False, env=surroundings(**more), timeout=60
    )


def works(project: Path) -> bool:
    probe = [str(project / ".venv" / "bin" / "python"), "-c", "import tiny; print(tiny.PRESENT)"]
    return subprocess.run(probe, capture_output=True, text=True, check=True).stdout == "True\n"


def environments(project: Path) -> set[str]:
    return {entry.name for entry in (project / ".venvs").iterdir() if entry.is_dir()}


def test_the_ordinary_way_then_nothing_to_do(project: Path) -> None:
    first = set_up(project, Path(sys.executable), PIP_USER="1", PYTHONPATH="/nonexistent")
    assert first.returncode == 0, first.stderr
    assert works(project)
    second = set_up(project, Path(sys.executable))
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_without_ensurepip_the_broken_folder_goes_and_pip_fills_from_outside(project: Path, python: Path) -> None:
    result = set_up(project, python)
    assert result.returncode == 0, result.stderr
    assert works(project)
    assert not (project / ".venv" / "broken").exists()


def test_without_ensurepip_and_pip_uv_makes_it(project: Path, tmp_path: Path) -> None:
    python = interpreter(tmp_path, "bare", NO_ENSUREPIP, NO_PIP)
    tools = tmp_path / "tools"
    tools.mkdir()
    real = f'"{sys.executable}"'
    executable(
        tools / "uv",
        f'case "$1" in venv) exec {real} -m venv --without-pip "$4" ;; pip) shift; inside=$4; shift 4 ;; esac\n'
        f'exec {real} -m pip --python "$inside" install "$@"',
    )
    result = set_up(project, python, PATH=f"{tools}:/usr/bin:/bin")
    assert result.returncode == 0, result.stderr
    assert works(project)


def test_no_way_at_all_names_the_line_that_mends_it(project: Path, tmp_path: Path) -> None:
    python = interpreter(tmp_path, "bare", NO_ENSUREPIP, NO_PIP)
    result = set_up(project, python, PATH=str(tmp_path))
    assert result.returncode == 3
    assert "can neither make an environment nor fill one" in result.stderr
    assert "No module named pip" in result.stderr
    hints = [line for line in result.stderr.splitlines() if line.startswith("hint: ")]
    assert len(hints) == 1
    assert environments(project) == set()
    assert not (project / ".venv").is_symlink()


def test_a_failed_installation_leaves_the_old_environment_in_use(project: Path, python: Path) -> None:
    assert set_up(project, python).returncode == 0
    before = (project / ".venv").readlink()
    (project / "backend.py").write_text("raise SystemExit('no such backend')")
    (project / "constraints.txt").write_text("# changed\n")
    result = set_up(project, python)
    assert result.returncode == 3
    assert "installing the packages failed" in result.stderr
    assert (project / ".venv").readlink() == before
    assert works(project)


def test_a_change_builds_anew_and_keeps_only_the_one_before(project: Path, python: Path) -> None:
    seen = []
    for text in ("# one\n", "# two\n", "# three\n"):
        (project / "constraints.txt").write_text(text)
        assert set_up(project, python).returncode == 0
        seen.append((project / ".venv").readlink().name)
    assert len(set(seen)) == 3
    assert environments(project) == set(seen[1:])


def test_a_folder_without_stamp_is_built_again(project: Path, python: Path) -> None:
    assert set_up(project, python).returncode == 0
    folder = (project / ".venv").resolve()
    (folder / "complete").unlink()
    (folder / "leftover").touch()
    assert set_up(project, python).returncode == 0
    assert works(project)
    assert not (folder / "leftover").exists()


def test_an_environment_of_other_making_is_set_aside(project: Path, python: Path) -> None:
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "bin" / "mine").touch()
    result = set_up(project, python)
    assert result.returncode == 0, result.stderr
    assert works(project)
    (aside,) = project.glob(".venv.*")
    assert (aside / "bin" / "mine").exists()


@contextlib.contextmanager
def stopped_in_pip(project: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A set-up that stands still while it installs, and the pipe that lets it go on."""
    reached, let_go = tmp_path / "reached", tmp_path / "let-go"
    os.mkfifo(reached)
    os.mkfifo(let_go)
    pause = f'case "$*" in *" install "*) echo here >"{reached}"; read -r word <"{let_go}" ;; esac\n'
    python = interpreter(tmp_path, "pausing", NO_ENSUREPIP, pause)
    with subprocess.Popen(
        command(project, python), start_new_session=True, env=surroundings(), text=True, stdout=subprocess.PIPE
    ) as process:
        try:
            assert reached.read_text() == "here\n"
            yield process, let_go
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_killed_while_installing_is_redone(project: Path, python: Path, tmp_path: Path) -> None:
    with stopped_in_pip(project, tmp_path) as (process, _):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert len(environments(project)) == 1
    assert not (project / ".venv").exists()
    result = set_up(project, python)
    assert result.returncode == 0, result.stderr
    assert works(project)


def test_an_orphaned_pip_still_holds_the_lock(project: Path, python: Path, tmp_path: Path) -> None:
    with stopped_in_pip(project, tmp_path) as (process, let_go), (project / ".venvs" / "lock").open("r+") as lock:
        process.kill()
        process.wait()
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        let_go.write_text("go\n")
        fcntl.flock(lock, fcntl.LOCK_EX)
        fcntl.flock(lock, fcntl.LOCK_UN)
    assert set_up(project, python).returncode == 0
    assert works(project)


def test_two_at_once_build_one(project: Path, python: Path, tmp_path: Path) -> None:
    with (
        stopped_in_pip(project, tmp_path) as (first, let_go),
        subprocess.Popen(command(project, python), env=surroundings(), text=True, stdout=subprocess.PIPE) as second,
    ):
        assert second.stdout is not None
        assert "waiting" in second.stdout.readline()
        let_go.write_text("go\n")
        assert (first.wait(60), second.wait(60)) == (0, 0)
        assert second.stdout.read() == ""
    assert works(project)
    assert len(environments(project)) == 1


def test_an_old_python_is_refused_by_the_launcher(tmp_path: Path) -> None:
    old = executable(tmp_path / "python3", "exit 1")
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": str(old)}
    result = subprocess.run(
        [str(SCRIPTS / "set-up")], capture_output=True, text=True, check=False, env=environment
    )
    assert result.returncode == 3
    assert "no Python 3.11 or newer" in result.stderr
    assert "hint: " in result.stderr
