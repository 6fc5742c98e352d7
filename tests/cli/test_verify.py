"""``v2gpki verify``: one line per certificate, the verdict, what each outside is told, the exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chains.mint import certificate, ocsp_response, revocation_list
from v2gpki.certs.chain import pem

AT = ("--at", "2026-06-15T12:00:00Z")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("v2g", "mo", "private"):
        (tmp_path / f"{name}.pem").write_bytes(pem([certificate(name)]))
    bundles = {
        "good": ("cpo1", "secc", "cpo2"),
        "expired": ("secc-expired", "cpo2", "cpo1"),
        "no-dc": ("secc-no-dc", "cpo2", "cpo1"),
        "private-secc": ("secc-private",),
    }
    for name, chain in bundles.items():
        (tmp_path / f"{name}.pem").write_bytes(pem([certificate(one) for one in chain]))
    (tmp_path / "revoked.crl").write_bytes(revocation_list("cpo2-secc"))
    for name in ("secc", "cpo2", "cpo1"):
        (tmp_path / f"{name}.ocsp").write_bytes(ocsp_response(name))
    return tmp_path


def run(folder: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("V2GPKI")}
    done = subprocess.run(
        [sys.executable, "-m", "v2gpki", "verify", *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_a_good_chain(folder: Path) -> None:
    done = run(folder, "good.pem", "--anchor", "v2g.pem", *AT)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert [line.split()[0] for line in lines] == ["valid", "valid", "valid", "good", "valid"]
    assert "DE*ABC*E00001" in lines[0]
    assert all("  revocation unknown (" in line for line in lines[:3])
    assert "  anchor" in lines[3]
    assert lines[4] == "valid at 2026-06-15T12:00:00Z; revocation unknown (3 of 4 certificates)"


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (("secc", "cpo2", "cpo1"), ["good", "good", "good", "good", "good"]),
        (("secc",), ["good", "valid", "valid", "good", "valid"]),
    ],
)
def test_good_is_what_is_known_not_to_be_revoked(folder: Path, evidence: tuple[str, ...], words: list[str]) -> None:
    done = run(
        folder, "good.pem", "--anchor", "v2g.pem", *AT, *(f"--ocsp={name}.ocsp" for name in evidence)
    )
    lines = done.stdout.splitlines()
    assert (done.returncode, [line.split()[0] for line in lines]) == (0, words)
    assert ["  not revoked (OCSP" in line for line in lines[:3]] == [word == "good" for word in words[:3]]
    assert ("revocation unknown" in lines[4]) == (words[4] == "valid")
    # the names in JSON are a contract
    value = json.loads(run(folder, "good.pem", "--anchor", "v2g.pem", *AT, "--json").stdout)
    assert (value["verdict"], {row["verdict"] for row in value["certificates"]}) == ("good", {"good"})


def test_a_bad_chain_is_never_called_valid(folder: Path) -> None:
    done = run(folder, "good.pem", "--anchor", "v2g.pem", *AT, "--require-evidence")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["bad", "bad", "bad", "good"]
    assert "bad at 2026-06-15T12:00:00Z" in lines


def test_the_role_and_the_evidence(folder: Path) -> None:
    arguments = ["good.pem", "--anchor", "v2g.pem", "--role", "secc", "--edition", "iso15118-2", "--json", *AT]
    for name in ("secc", "cpo2", "cpo1"):
        arguments += ["--ocsp", f"{name}.ocsp"]
    done = run(folder, *arguments, "--require-evidence")
    assert (done.returncode, done.stderr) == (0, "")
    value = json.loads(done.stdout)
    assert next(iter(value)) == "schema"
    assert (value["schema"], value["verdict"], value["findings"]) == ("v2gpki/verify/1", "good", [])
    rows = [(row["role"], row["status"], row["source"]) for row in value["certificates"]]
    assert rows == [
        ("secc", "good", "OCSP"),
        ("cpo-sub-ca-2", "good", "OCSP"),
        ("cpo-sub-ca-1", "good", "OCSP"),
        ("v2g-root", "anchor", ""),
    ]
    assert value["certificates"][0]["next_update"] == "2026-06-20T00:00:00Z"


def test_missing_evidence_is_refused_when_it_is_required(folder: Path) -> None:
    done = run(folder, "good.pem", "--anchor", "v2g.pem", "--ocsp", "secc.ocsp", "--require-evidence", "--json", *AT)
    value = json.loads(done.stdout)
    assert done.returncode == 1
    assert (value["verdict"], value["code"]) == ("bad", "path.status_unknown")
    assert [row["verdict"] for row in value["certificates"]] == ["good", "bad", "bad", "good"]


def test_every_finding_and_what_the_outsides_are_told(folder: Path) -> None:
    done = run(folder, "expired.pem", "--anchor", "mo.pem", "--json", *AT)
    value = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert value["code"] == "path.no_anchor"
    told = {
        finding["code"]: (
            finding["response_code_iso15118_2"],
            finding["response_code_iso15118_20"],
            finding["ocpp_certificate_status"],
        )
        for finding in value["findings"]
    }
    assert told == {
        "path.no_anchor": ("FAILED_CertChainError", "WARNING_CertificateValidationError", "CertChainError"),
        "path.expired": ("FAILED_CertificateExpired", "WARNING_CertificateExpired", "CertificateExpired"),
    }
    assert all(finding["clause"] for finding in value["findings"])


def test_a_bad_chain_for_people(folder: Path) -> None:
    done = run(folder, "no-dc.pem", "--anchor", "v2g.pem", "--role", "secc", "--edition", "iso15118-2", *AT)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.split()[:2] == ["bad", "secc:"]
    for words in ("role.domain_component", "[V2G2-925]", "-2 FAILED", "OCPP CertChainError", "hint: "):
        assert words in done.stdout


def test_stdin_and_a_revoked_leaf(folder: Path) -> None:
    data = (folder / "good.pem").read_bytes()
    done = run(folder, "-", "--anchor", "v2g.pem", "--crl", "revoked.crl", *AT, stdin=data)
    assert done.returncode == 1
    assert "revoked (CRL, " in done.stdout
    assert "path.revoked" in done.stdout


def test_the_time_is_the_callers(folder: Path) -> None:
    done = run(folder, "expired.pem", "--anchor", "v2g.pem", "--at", "2026-04-01")
    assert done.returncode == 0
    assert "at 2026-04-01T00:00:00Z" in done.stdout


@pytest.mark.parametrize(("role", "code"), [("private-root", 0), ("mo-root", 1)])
def test_the_role_of_an_anchor_may_be_given(folder: Path, role: str, code: int) -> None:
    arguments = ("private-secc.pem", "--anchor", f"{role}=private.pem", "--role", "secc", "--edition", "iso15118-2")
    done = run(folder, *arguments, *AT)
    assert done.returncode == code
    assert ("role.wrong_anchor" in done.stdout) == bool(code)


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["good.pem"], 2, "usage.invalid"),
        (["good.pem", "--anchor", "v2g.pem", "--edition", "iso15118-2"], 2, "usage.invalid"),
        (["good.pem", "--anchor", "v2g.pem", "--role", "secc"], 2, "usage.invalid"),
        (["good.pem", "--anchor", "v2g.pem", "--role", "nobody", "--edition", "iso15118-2"], 2, "profile.unknown_role"),
        (["-", "--anchor", "-"], 2, "usage.invalid"),
        (["nowhere.pem", "--anchor", "v2g.pem"], 3, "file.unreadable"),
        (["revoked.crl", "--anchor", "v2g.pem"], 1, "chain.malformed"),
        (["good.pem", "--anchor", "v2g.pem", "--crl", "v2g.pem"], 1, "crl.malformed"),
        (["good.pem", "--anchor", "v2g.pem", "--ocsp", "v2g.pem"], 1, "ocsp.malformed"),
        (["good.pem", "private-secc.pem", "--anchor", "v2g.pem"], 1, "chain.ambiguous"),
    ],
)
def test_what_cannot_be_judged_is_an_error(folder: Path, arguments: list[str], status: int, code: str) -> None:
    done = run(folder, *arguments, "--json", *AT)
    assert (done.returncode, done.stdout) == (status, "")
    problem = json.loads(done.stderr)
    assert problem["code"] == code
    assert problem["hint"]


def test_an_error_names_the_file(folder: Path) -> None:
    done = run(folder, "revoked.crl", "--anchor", "v2g.pem", *AT)
    assert done.stderr.startswith("v2gpki: revoked.crl: ")
