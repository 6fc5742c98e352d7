"""``v2gpki lint``: roles, exit codes, both forms of output."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.certs.lint.foundry import Link, leaf, root, sub


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "v2gpki", "lint", *arguments], input=stdin, capture_output=True, timeout=60, check=False
    )


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    return write(tmp_path / "chain.pem", leaf(), sub(), root())


def write(path: Path, *links: Link) -> Path:
    path.write_bytes(b"".join(link.certificate.public_bytes(Encoding.PEM) for link in links))
    return path


def test_a_good_chain(chain: Path) -> None:
    done = run(str(chain), "--role", "secc", "--edition", "iso15118-2")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == ["no findings"] * 3
    assert "cpo-sub-ca-2 of iso15118-2, p256" in lines[1]


def test_errors_are_exit_code_1_with_code_place_and_clause(chain: Path) -> None:
    done = run(str(chain), "--role", "cps", "--edition", "iso15118-2")
    text = done.stdout.decode()
    assert done.returncode == 1
    assert "error" in text
    assert "subject.DC: " in text
    assert "lint.subject.value" in text
    assert "[V2G2-925]" in text


def test_what_the_library_warns_of_is_a_finding_and_no_noise(tmp_path: Path) -> None:
    der = bytearray(leaf().certificate.public_bytes(Encoding.DER))
    serial = der.index(bytes.fromhex("a003020102") + b"\x02") + 7
    der[serial] |= 0x80  # negative
    (tmp_path / "negative.der").write_bytes(der)
    done = run(str(tmp_path / "negative.der"), "--role", "secc", "--edition", "iso15118-2", "--json")
    assert (done.returncode, done.stderr) == (1, b"")
    assert "lint.serial.not_positive" in done.stdout.decode()


def test_json(chain: Path) -> None:
    done = run(str(chain), "--role", "cps", "--edition", "iso15118-2", "--json", "--explain")
    value = json.loads(done.stdout)
    assert done.returncode == 1
    assert next(iter(value)) == "schema"
    assert value["schema"] == "v2gpki/lint/1"
    assert (value["passed"], value["errors"]) == (False, 1)
    first = value["certificates"][0]
    assert first["findings"][0]["code"] == "lint.subject.value"
    assert first["findings"][0]["severity"] == "error"
    assert first["explanations"]["lint.subject.value"]["action"]
    assert [one["role"] for one in value["certificates"]] == ["cps", "cps-sub-ca-2", "v2g-root"]


def test_what_does_not_follow_is_not_judged(tmp_path: Path) -> None:
    path = write(tmp_path / "chain.pem", leaf(), root())
    done = run(str(path), "--role", "secc", "--edition", "iso15118-2", "--json")
    value = json.loads(done.stdout)
    assert (done.returncode, value["not_judged"]) == (0, 1)
    assert [one["judged"] for one in value["certificates"]] == [True, False]


def test_warnings_fail_only_when_strict(tmp_path: Path) -> None:
    """The laboratory edition is the plainest warning: its profiles say so of themselves."""
    path = write(tmp_path / "root.pem", root())
    arguments = [str(path), "--role", "v2g-root", "--edition", "lab-ecog-20"]
    done = run(*arguments, "--json")
    value = json.loads(done.stdout)
    codes = {found["code"]: found["severity"] for found in value["certificates"][0]["findings"]}
    assert codes.get("lint.profile.not_conformant") == "warning"
    assert "error" not in codes.values()
    assert done.returncode == 0
    assert run(*arguments, "--strict").returncode == 1


def test_issuer_and_stdin(tmp_path: Path) -> None:
    issuer = tmp_path / "issuer.der"
    issuer.write_bytes(sub("p256", 1).der)
    arguments = ["-", "--role", "secc", "--edition", "iso15118-2", "--issuer", str(issuer), "--json"]
    done = run(*arguments, stdin=leaf().der)
    found = {found["code"] for found in json.loads(done.stdout)["certificates"][0]["findings"]}
    assert (done.returncode, found) == (1, {"lint.signature.invalid", "lint.authority_key_identifier.mismatch"})


def test_an_issuer_file_holds_one_certificate(chain: Path) -> None:
    done = run(str(chain), "--role", "secc", "--edition", "iso15118-2", "--issuer", str(chain))
    assert done.returncode == 2
    assert b"--issuer takes one" in done.stderr


def test_a_file_that_is_no_certificate(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"\x1b[31mnot a certificate\x1b[0m")
    done = run(str(path), "--role", "secc", "--edition", "iso15118-2")
    assert done.returncode == 1
    assert b"lint.der.malformed" in done.stdout
    assert b"\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--role", "nobody", "--edition", "iso15118-2"], 2),
        (["--role", "secc", "--edition", "iso15118-3"], 2),
        (["--role", "secc", "--edition", "iso15118-2", "--suite", "p521"], 2),
        (["--role", "secc", "--edition", "iso15118-2", "--option", "nothing"], 2),
        (["--role", "secc"], 2),
    ],
)
def test_usage(chain: Path, arguments: list[str], code: int) -> None:
    done = run(str(chain), *arguments)
    assert (done.returncode, done.stdout) == (code, b"")


def test_missing_file(tmp_path: Path) -> None:
    done = run(str(tmp_path / "nothing.pem"), "--role", "secc", "--edition", "iso15118-2")
    assert done.returncode == 3
    assert b"nothing.pem" in done.stderr
