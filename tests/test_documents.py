"""The README's tour and the examples, run as a reader would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from v2gpki.certs.csr import build_csr
from v2gpki.keys.suites import SUITES

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(sys.executable).parent


def environment(**extra: str) -> dict[str, str]:
    """A bare environment in which ``v2gpki`` and ``python`` are ours."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("V2GPKI_")}
    return {**clean, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}", **extra}


def tour() -> list[str]:
    """The commands of the README's console blocks, in order."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def run_tour(commands: list[str], folder: Path) -> None:
    """Run the commands in one shell that stops at the first failure; the failing command is named."""
    script = "set -e\n" + "".join(f"echo '+' {index}\n{command}\n" for index, command in enumerate(commands))
    done = subprocess.run(
        ["/bin/sh", "-c", script], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    last = done.stdout.rsplit("+ ", 1)[-1].split("\n", 1)[0]
    assert done.returncode == 0, f"{commands[int(last or 0)]}\n{done.stdout[-800:]}\n{done.stderr}"


def test_our_commands_of_the_tour_succeed(tmp_path: Path) -> None:
    """Without the openssl program, whose request is made here; ``tests/interop`` runs the whole tour with it."""
    (tmp_path / "outside.csr").write_bytes(build_csr(SUITES["p256"].generate(), "DE*ACM*E0002"))
    ours = [command for command in tour() if not command.startswith("openssl ")]
    assert len(ours) > 15
    run_tour(ours, tmp_path)
    assert (tmp_path / "station" / "chain.pem").read_text().count("BEGIN CERTIFICATE") == 3


def test_a_lab_pki_in_ten_lines(tmp_path: Path) -> None:
    example = ROOT / "examples" / "lab_pki.py"
    code = [line for line in example.read_text("utf-8").split('"""')[2].splitlines() if line.strip()]
    assert len(code) <= 10
    done = subprocess.run(
        [sys.executable, example, tmp_path / "lab"], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [line.split("chain of ")[1] for line in done.stdout.splitlines()] == ["3", "3", "3"]


def test_a_signer_for_requests(tmp_path: Path) -> None:
    passphrase = "only for this test"
    lab = environment(V2GPKI_PASSPHRASE=passphrase, V2GPKI_HOME=str(tmp_path / "lab"))
    subprocess.run(
        [sys.executable, "-m", "v2gpki", "init", "--edition", "iso15118-2"], env=lab, capture_output=True, check=True
    )
    key = SUITES["p256"].generate()
    (tmp_path / "station.csr").write_bytes(build_csr(key, "whatever the station says"))
    command = [sys.executable, ROOT / "examples" / "csr_signer.py", tmp_path / "lab", tmp_path / "station.csr"]
    done = subprocess.run([*command, "DE*ACM*E0001"], env=lab, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("BEGIN CERTIFICATE") == 3
    refused = subprocess.run([*command, "no identifier"], env=lab, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "refused" in refused.stderr


def test_the_demo_says_that_the_library_proves_when_there_is_no_openssl_program(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "examples" / "demo.py", tmp_path / "demo"]
    alone = environment(PATH=str(tmp_path / "no-programs"))
    done = subprocess.run(command, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(OpenSSL library; no openssl program here, -x509_strict)") == 13
    assert "Done: 13 certificates proven, 2 things refused" in done.stdout


def test_the_demo_replaces_no_folder_but_its_own(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work", "utf-8")
    command = [sys.executable, ROOT / "examples" / "demo.py", tmp_path]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
