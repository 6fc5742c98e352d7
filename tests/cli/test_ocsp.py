"""``v2gpki ocsp``: signers, files for a CDN, staples, hash data, and asking."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

import v2gpki
from tests.conftest import PASSPHRASE
from tests.servers.http.serving import serving
from tests.services.ocsp.asking import read, request
from v2gpki.certs.chain import pem
from v2gpki.cli import run
from v2gpki.services.issuance import Issued

Told = Callable[..., tuple[int, dict[str, object]]]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of today with one SECC chain beside it."""
    folder = tmp_path_factory.mktemp("ocsp")
    with v2gpki.open_authority(folder / "home", passphrase=PASSPHRASE, create=True) as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org="Acme")
        secc = ca.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
        root = ca.authority(secc.record.issuer_id).chain[-1]
    (folder / "chain.pem").write_bytes(pem(secc.chain))
    (folder / "full.pem").write_bytes(pem([*secc.chain, root]))
    (folder / "root.pem").write_bytes(pem([root]))
    (folder / "passphrase").write_text(PASSPHRASE)
    (folder / "passphrase").chmod(0o600)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def told(folder: Path, capsys: pytest.CaptureFixture[str]) -> Told:
    def tell(*arguments: str) -> tuple[int, dict[str, object]]:
        capsys.readouterr()
        common = ["--home", str(folder / "home"), "--passphrase-file", str(folder / "passphrase"), "--json"]
        status = run([*common, "ocsp", *arguments])
        captured = capsys.readouterr()
        value = json.loads(captured.out or captured.err)
        assert isinstance(value, dict)
        return status, value

    return tell


@pytest.fixture
def ca(folder: Path) -> Iterator[v2gpki.CertificateAuthority]:
    with v2gpki.open_authority(folder / "home", passphrase=PASSPHRASE) as one:
        yield one


def chain(folder: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((folder / "full.pem").read_bytes())


def test_signers(told: Told, ca: v2gpki.CertificateAuthority) -> None:
    (signer,) = ca.store.held_certificates("ocsp", "iso2-cpo-sub-ca-2@1")
    status, value = told("signers")
    assert (status, value["schema"], value["issued"]) == (0, "v2gpki/ocsp-signers/1", 0)
    ca.revoke(f"{signer.serial:x}", "keyCompromise")
    status, value = told("signers")
    assert (status, value["issued"]) == (0, 1)
    rows = value["signers"]
    assert isinstance(rows, list)
    assert [row["authority"] for row in rows if row["issued"]] == ["iso2-cpo-sub-ca-2@1"]


def test_presign_writes_what_a_get_asks_for(
    folder: Path, told: Told, ca: v2gpki.CertificateAuthority
) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    gone: Issued = ca.issue("secc", id="DE*ABC*E2", edition="iso15118-2")
    ca.revoke(f"{gone.record.serial:x}", "superseded")
    out = folder / "cdn"
    status, value = told("presign", "--out", str(out))
    assert status == 0
    assert value["revoked"] == 2
    assert json.loads((out / "manifest.json").read_text())["answers"] == value["answers"]
    leaf, sub2, sub1, root = (one.public_bytes(Encoding.DER) for one in chain(folder))
    for child, issuer, expected in (
        (leaf, sub2, ocsp.OCSPCertStatus.GOOD),
        (sub2, sub1, ocsp.OCSPCertStatus.GOOD),
        (sub1, root, ocsp.OCSPCertStatus.GOOD),
        (gone.chain[0], gone.chain[1], ocsp.OCSPCertStatus.REVOKED),
    ):
        for hash_name in ("sha1", "sha256"):
            name = base64.b64encode(request(child, issuer, hash_name)).decode()
            file = out / name / "index.ocsp" if name.endswith("/") else out / name
            assert read(file.read_bytes()).certificate_status is expected
    files = {path for path in out.rglob("*") if path.is_file()}
    assert len(files) == value["answers"] + 1  # type: ignore[operator]  # an int
    # Another run replaces them; with --prune nothing else stays, and only where an earlier run wrote.
    stray = out / "stray"
    stray.write_bytes(b"")
    status, value = told("presign", "--out", str(out), "--hash", "sha256", "--ca", "iso2-cpo-sub-ca-2", "--prune")
    assert status == 0
    assert not stray.exists()
    left = {path for path in out.rglob("*") if path.is_file()}
    assert len(left) == value["answers"] + 1  # type: ignore[operator]  # an int
    foreign = folder / "foreign"
    foreign.mkdir()
    (foreign / "precious").write_text("x")
    status, value = told("presign", "--out", str(foreign), "--prune")
    assert (status, value["code"]) == (1, "file.exists")
    assert (foreign / "precious").exists()


def test_staple_plain(folder: Path, told: Told) -> None:
    out = folder / "staples"
    status, value = told("staple", "--chain", str(folder / "chain.pem"), "--out", str(out))
    assert status == 0
    names = sorted(path.name for path in out.iterdir())
    assert names == ["0-DE-ABC-E1.der", "1-Acme-CPO-Sub-CA-2.der", "2-Acme-CPO-Sub-CA-1.der", "staples.json"]
    for name, certificate in zip(names, chain(folder), strict=False):
        if name.endswith(".der"):
            assert read((out / name).read_bytes()).serial_number == certificate.serial_number
    rows = json.loads((out / "staples.json").read_text())["staples"]
    assert [row["file"] for row in rows] == names[:3]
    status, value = told("staple", "--chain", str(folder / "chain.pem"), "--out", str(out))
    assert (status, value["code"]) == (1, "file.exists")
    assert told("staple", "--chain", str(folder / "chain.pem"), "--out", str(out), "--force")[0] == 0


def test_staple_everest(folder: Path, told: Told) -> None:
    """Binary DER with the four lines of hash data beside it, and one pair for a certificate."""
    out = folder / "certs"
    for _ in range(2):
        status, _value = told("staple", "--chain", str(folder / "chain.pem"), "--out", str(out), "--layout", "everest")
        assert status == 0
    cache = out / "client" / "cso" / "ocsp"
    pairs = sorted(cache.glob("*_ocsp.der"))
    assert len(pairs) == 3
    assert len(list(cache.iterdir())) == 6
    certificates = chain(folder)
    for der in pairs:
        said = read(der.read_bytes())
        lines = der.with_suffix(".hash").read_text().splitlines()
        assert lines == [
            "SHA256",
            said.issuer_name_hash.hex(),
            said.issuer_key_hash.hex(),
            f"{said.serial_number:x}",
        ]
        assert said.serial_number in {one.serial_number for one in certificates}


def test_staple_of_a_foreign_chain_is_refused(
    folder: Path, told: Told, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    with v2gpki.open_authority(other / "home", passphrase=PASSPHRASE, create=True) as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org="Other")
        secc = ca.issue("secc", id="DE*OTH*E1", edition="iso15118-2")
        root = ca.authority(secc.record.issuer_id).chain[-1]
    (other / "full.pem").write_bytes(pem([*secc.chain, root]))
    out = folder / "staples"
    status, value = told("staple", "--chain", str(other / "full.pem"), "--out", str(out))
    assert (status, value["code"]) == (1, "ocsp.no_staple")
    assert not out.exists()
    # Asked for at its own responder, there are some.
    with serving(other / "home") as (url,):
        arguments = ["staple", "--chain", str(other / "full.pem"), "--out", str(out), "--url", url]
        assert told(*arguments)[0] == 0
    assert len(list(out.glob("*.der"))) == 3


def test_hash_data(folder: Path, told: Told) -> None:
    status, value = told("hash-data", str(folder / "full.pem"))
    assert (status, value["encoding"]) == (0, "ocpp")
    entries = value["hash_data"]
    assert isinstance(entries, list)
    assert [entry["serialNumber"] for entry in entries] == [f"{one.serial_number:x}" for one in chain(folder)[:3]]
    status, value = told(
        "hash-data", str(folder / "chain.pem"), "--anchor", str(folder / "root.pem"), "--encoding", "ecog"
    )
    entries = value["hash_data"]
    assert isinstance(entries, list)
    assert entries[0]["serial_number"] == str(chain(folder)[0].serial_number)


def test_hash_data_of_a_chain_without_its_root(folder: Path, told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    """The home's own root completes it, without a passphrase; where there is no such home, the root is missed."""
    status, value = told("hash-data", str(folder / "chain.pem"))
    assert status == 0
    _, whole = told("hash-data", str(folder / "full.pem"))
    assert value == whole
    capsys.readouterr()
    assert run(["--home", str(folder / "home"), "ocsp", "hash-data", str(folder / "chain.pem")]) == 0
    assert capsys.readouterr().out.count("issuerKeyHash") == 3
    assert run(["--home", str(folder / "nowhere"), "--json", "ocsp", "hash-data", str(folder / "chain.pem")]) == 1
    assert json.loads(capsys.readouterr().err)["code"] == "ocsp.issuer_missing"
    (folder / "damaged").mkdir()
    (folder / "damaged" / "store.db").write_bytes(b"no database")
    home = ["--home", str(folder / "damaged")]
    assert run([*home, "--json", "ocsp", "hash-data", str(folder / "chain.pem")]) == 1
    assert json.loads(capsys.readouterr().err)["code"] == "ocsp.issuer_missing"
    assert run([*home, "ocsp", "hash-data", str(folder / "full.pem")]) == 0


def test_query(folder: Path, told: Told, ca: v2gpki.CertificateAuthority, capsys: pytest.CaptureFixture[str]) -> None:
    full = str(folder / "full.pem")
    with serving(folder / "home", mode="live") as (url,):
        status, value = told("query", full, "--url", url, "--all", "-o", str(folder / "answer.der"))
        assert (status, value["schema"]) == (0, "v2gpki/ocsp-query/1")
        answers = value["answers"]
        assert isinstance(answers, list)
        assert [(one["status"], one["trusted"], one["nonce"]) for one in answers] == [("good", True, "echoed")] * 3
        assert read((folder / "answer.der").read_bytes()).serial_number == chain(folder)[2].serial_number
        capsys.readouterr()
        assert run(["ocsp", "query", full, "--url", url, "--get", "--no-nonce"]) == 0
        said = capsys.readouterr().out
        assert "good" in said
        assert "nonce" not in said
        # The chains that `cert issue` writes have no root: where no home knows it, the leaf needs its issuer alone.
        elsewhere = ["--home", str(folder / "none"), "--json", "ocsp", "query", str(folder / "chain.pem"), "--url", url]
        assert run(elsewhere) == 0
        assert run([*elsewhere, "--all"]) == 1
        assert json.loads(capsys.readouterr().err)["code"] == "ocsp.issuer_missing"
        status, value = told("query", full, "--url", url, "--at", "2036-01-01")
        assert status == 1
        answers = value["answers"]
        assert isinstance(answers, list)
        assert {finding["code"] for finding in answers[0]["findings"]} >= {"ocsp.stale", "ocsp.bad_delegate"}
        ca.revoke(f"{chain(folder)[0].serial_number:x}", "keyCompromise")
        status, value = told("query", full, "--url", url)
        answers = value["answers"]
        assert isinstance(answers, list)
        assert (status, answers[0]["status"], answers[0]["reason"]) == (1, "revoked", "keyCompromise")
        # The root that issued Sub-CA 1 need not be in the chain.
        status, value = told("query", str(folder / "chain.pem"), "--url", url, "--all")
        answers = value["answers"]
        assert isinstance(answers, list)
        assert [(one["status"], one["trusted"]) for one in answers] == [("revoked", True), *[("good", True)] * 2]
        staples = ["staple", "--chain", str(folder / "chain.pem"), "--out", str(folder / "staples"), "--url", url]
        status, value = told(*staples)
        assert (status, len(list((folder / "staples").glob("*.der")))) == (0, 3)
    status, value = told("query", full, "--url", "http://127.0.0.1:1/")
    assert (status, value["code"]) == (3, "ocsp.unreachable")


def test_nothing_to_ask_about(folder: Path, told: Told, ca: v2gpki.CertificateAuthority) -> None:
    """Nobody answers about a root alone: an empty result would read as a good one, so that it is a refusal."""
    root, out = str(folder / "root.pem"), folder / "out"
    for command in (
        ("query", root),
        ("query", root, "--all"),
        ("query", root, "--url", "http://127.0.0.1:1/"),
        ("query", root, "--out", str(out)),
        ("staple", "--chain", root, "--out", str(out)),
        ("staple", "--chain", root, "--out", str(out), "--remote"),
        ("hash-data", root),
        ("hash-data", root, "--url", "http://127.0.0.1:1/"),
    ):
        status, value = told(*command)
        assert (status, value["code"]) == (1, "ocsp.nothing_to_ask"), command
        assert root in str(value["message"])
        assert chain(folder)[3].subject.rfc4514_string().split("CN=")[1].split(",")[0] in str(value["message"])
        assert "the one that issued it" in str(value["hint"])
        assert not out.exists()
    # EcoG's list has the root too.
    assert told("hash-data", root, "--encoding", "ecog", "--url", "http://127.0.0.1:1/")[0] == 0
    bare = ca.issue("secc", id="DE*ABC*E3", edition="iso15118-2", options={"aia": "off"})
    (folder / "bare.pem").write_bytes(pem(bare.chain[:1]))
    status, value = told("hash-data", str(folder / "bare.pem"))
    assert (status, value["code"]) == (1, "ocsp.nothing_to_ask")
    assert "--url" in str(value["hint"])
    assert told("hash-data", str(folder / "bare.pem"), "--url", "http://127.0.0.1:1/")[0] == 0
