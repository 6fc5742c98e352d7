"""OpenSSL asks our responder, and ours asks OpenSSL's: every suite, SHA-1 and SHA-256, nonce, all verdicts, staples."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization

from tests.conftest import PASSPHRASE
from tests.interop.process import ForeignProcess
from tests.servers.http.serving import serving
from v2gpki import CertificateAuthority, open_authority
from v2gpki.certs.chain import pem
from v2gpki.cli import run
from v2gpki.services.issuance import Issued

pytestmark = pytest.mark.interop("openssl")

FAMILIES = [("iso15118-2", "p256"), ("iso15118-20", "p521"), ("iso15118-20", "ed448")]
SIGNS = re.compile(r"Response verify OK")


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CertificateAuthority]:
    """A home of today: OpenSSL reads the machine's clock."""
    home = tmp_path_factory.mktemp("ocsp") / "home"
    with open_authority(home, passphrase=PASSPHRASE, create=True) as authority:
        authority.initialise(authority.plan(["iso15118-2", "iso15118-20"]), org="Acme")
        yield authority


@pytest.fixture(scope="module", params=["live", "presigned"])
def url(ca: CertificateAuthority, request: pytest.FixtureRequest) -> Iterator[str]:
    with serving(ca.home, mode=request.param) as (address,):
        yield address


def files(ca: CertificateAuthority, issued: Issued, folder: Path) -> Path:
    """leaf.pem, issuer.pem, subs.pem and root.pem."""
    root = ca.authority(issued.record.issuer_id).chain[-1]
    parts = {"leaf": issued.chain[:1], "issuer": issued.chain[1:2], "subs": issued.chain[1:], "root": [root]}
    for name, certificates in parts.items():
        (folder / f"{name}.pem").write_bytes(pem(certificates))
    (folder / "chain.pem").write_bytes(pem([*issued.chain, root]))
    return folder


def openssl(folder: Path, *arguments: str) -> str:
    """What ``openssl ocsp`` says, on both streams."""
    ran = subprocess.run(
        ["openssl", "ocsp", *arguments], cwd=folder, capture_output=True, text=True, timeout=30, check=False
    )
    return ran.stdout + ran.stderr


def ask(folder: Path, url: str, *more: str) -> str:
    trusted = ("-CAfile", "root.pem", "-verify_other", "subs.pem")
    return openssl(folder, "-issuer", "issuer.pem", *more, "-url", url, *trusted)


@pytest.mark.parametrize(("edition", "suite"), FAMILIES)
def test_openssl_verifies_the_answer(
    ca: CertificateAuthority, url: str, edition: str, suite: str, tmp_path: Path
) -> None:
    folder = files(ca, ca.issue("contract", id="DEABCC12345678", edition=edition, suite=suite), tmp_path)
    for algorithm in ([], ["-sha256"], ["-sha384"], ["-sha512"]):
        # Its default sends a nonce of 16 octets, and warns when it does not come back.
        said = ask(folder, url, *algorithm, "-cert", "leaf.pem")
        assert "leaf.pem: good" in said
        assert SIGNS.search(said)
        assert "nonce" not in said.lower()
        without = ask(folder, url, "-no_nonce", *algorithm, "-cert", "leaf.pem")
        assert "leaf.pem: good" in without
        assert SIGNS.search(without)


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
@pytest.mark.parametrize(("edition", "suite"), FAMILIES)
def test_openssl_verifies_the_answer_in_ocpps_form(
    ca: CertificateAuthority, edition: str, suite: str, algorithm: str, tmp_path: Path
) -> None:
    folder = files(ca, ca.issue("contract", id="DEABCC12345678", edition=edition, suite=suite), tmp_path)
    hash_data = ca.hash_data((folder / "chain.pem").read_bytes(), algorithm=algorithm)[0]
    (folder / "resp.der").write_bytes(base64.b64decode(ca.certificate_status(hash_data)))
    said = openssl(
        *(folder, "-respin", "resp.der", "-issuer", "issuer.pem", f"-{algorithm.lower()}", "-cert", "leaf.pem"),
        *("-CAfile", "root.pem", "-verify_other", "subs.pem"),
    )
    assert "leaf.pem: good" in said
    assert SIGNS.search(said)


#: What becomes of the slashes of a GET: a client's joining of segments, nginx's merge_slashes.
DAMAGES: dict[str, Callable[[str], str]] = {
    "doubled": lambda text: text.replace("/", "//"),
    "merged": lambda text: re.sub("/+", "/", text),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_get_with_openssls_request_survives_what_becomes_of_its_slashes(
    ca: CertificateAuthority, url: str, damage: str, tmp_path: Path
) -> None:
    folder = files(ca, ca.issue("secc", id="DE*ABC*E1", edition="iso15118-2"), tmp_path)
    answered = 0
    for algorithm in ("-sha1", "-sha256", "-sha384", "-sha512"):
        # Three octets of ones are three slashes in a row or more, wherever they stand.
        for serial in ("0x4141ffffff" + "41" * 15, "0x" + "41" * 9 + "ffffff" + "41" * 8):
            openssl(folder, "-issuer", "issuer.pem", algorithm, "-serial", serial, "-no_nonce", "-reqout", "req.der")
            plain = base64.b64encode((folder / "req.der").read_bytes()).decode()
            if len(re.findall("//+", plain)) > 1:
                # In the issuer's hashes too, by chance: then perhaps nobody can tell what was meant.
                continue
            path = DAMAGES[damage](plain)
            assert path != plain
            (folder / "resp.der").write_bytes(httpx.get(f"{url}/{path}").content)
            said = openssl(
                *(folder, "-reqin", "req.der", "-respin", "resp.der", "-issuer", "issuer.pem", algorithm),
                *("-serial", serial, "-CAfile", "root.pem", "-verify_other", "subs.pem"),
            )
            assert SIGNS.search(said), path
            assert f"{serial}: unknown" in said, path
            answered += 1
    assert answered


def test_openssl_reads_why_a_certificate_was_revoked(ca: CertificateAuthority, url: str, tmp_path: Path) -> None:
    secc = ca.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    folder = files(ca, secc, tmp_path)
    assert "leaf.pem: good" in ask(folder, url, "-no_nonce", "-cert", "leaf.pem")
    ca.revoke(f"{secc.record.serial:x}", "cessationOfOperation")
    begin = time.monotonic()
    while "leaf.pem: revoked" not in (said := ask(folder, url, "-no_nonce", "-cert", "leaf.pem")):
        assert time.monotonic() - begin < 1
    assert "Reason: cessationOfOperation" in said
    assert "Revocation Time" in said
    assert SIGNS.search(said)


def test_openssl_is_told_what_is_unknown_foreign_or_too_much(
    ca: CertificateAuthority, url: str, tmp_path: Path
) -> None:
    secc = ca.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    folder = files(ca, secc, tmp_path)
    said = ask(folder, url, "-serial", "0x5500000000000000000000000000000000000055")
    assert ": unknown" in said
    assert SIGNS.search(said)
    several = ask(folder, url, "-cert", "leaf.pem", "-serial", "0x55")
    assert "Responder Error: malformedrequest (1)" in several
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out stranger.pem"
    subprocess.run([*make.split(), "-subj", "/CN=stranger"], cwd=folder, capture_output=True, check=True)
    foreign = openssl(folder, "-issuer", "stranger.pem", "-cert", "leaf.pem", "-url", url)
    assert "Responder Error: unauthorized (6)" in foreign


def test_openssl_staples_what_we_write(ca: CertificateAuthority, tmp_path: Path) -> None:
    """``ocsp staple`` gives a file that a TLS server hands out and a client takes."""
    secc = ca.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    folder = files(ca, secc, tmp_path)
    assert secc.private_key is not None
    key = secc.private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(key)
    passphrase = folder / "passphrase"
    passphrase.write_text(PASSPHRASE)
    passphrase.chmod(0o600)
    arguments = ["--home", str(ca.home), "--passphrase-file", str(passphrase), "ocsp", "staple"]
    assert run([*arguments, "--chain", str(folder / "chain.pem"), "--out", str(folder / "staples")]) == 0
    (leaf,) = (folder / "staples").glob("0-*.der")
    server = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "leaf.pem", "-key", "key.pem"]
    log = folder / "server.log"
    chain = ["-cert_chain", "subs.pem", "-status_file", str(leaf), "-www"]
    with ForeignProcess([*server, *chain], log=log, cwd=folder, env=dict(os.environ)) as process:
        process.await_line(r"ACCEPT 127\.0\.0\.1:\d+", 10)
        found = re.search(r"ACCEPT (127\.0\.0\.1:\d+)", process.text())
        assert found is not None
        client = ["openssl", "s_client", "-connect", found[1], "-status", "-CAfile", "root.pem"]
        said = subprocess.run(client, cwd=folder, input="Q\n", capture_output=True, text=True, timeout=20, check=False)
    assert "OCSP Response Status: successful" in said.stdout
    assert "Cert Status: good" in said.stdout
    assert f"Serial Number: {secc.record.serial:X}" in said.stdout


@pytest.fixture
def openssl_responder(ca: CertificateAuthority, tmp_path: Path) -> Iterator[tuple[str, Issued, Path]]:
    """``openssl ocsp`` as the responder of one certificate, with our delegated signer."""
    secc = ca.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    folder = files(ca, secc, tmp_path)
    (signer, *_) = ca.store.held_certificates("ocsp", secc.record.issuer_id)
    assert ca.vault is not None
    key = ca.vault.private_key(signer.key_id).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "signer.key").write_bytes(key)
    (folder / "signer.pem").write_bytes(pem([signer.der]))
    (folder / "index.txt").write_text(f"V\t360101000000Z\t\t{secc.record.serial:040X}\tunknown\t/CN=x\n")
    command = ["openssl", "ocsp", "-index", "index.txt", "-CA", "issuer.pem", "-rsigner", "signer.pem"]
    more = ["-rkey", "signer.key", "-port", "0", "-ndays", "3"]
    with ForeignProcess([*command, *more], log=folder / "log", cwd=folder, env=dict(os.environ)) as process:
        process.await_line(r"ACCEPT \S*:\d+", 10)
        found = re.search(r"ACCEPT \S*:(\d+)", process.text())
        assert found is not None
        yield f"http://127.0.0.1:{found[1]}/", secc, folder


@pytest.mark.parametrize("more", [[], ["--hash", "sha1"], ["--no-nonce"], ["--get", "--no-nonce"]])
def test_we_judge_openssls_responder(
    openssl_responder: tuple[str, Issued, Path], more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    url, _, folder = openssl_responder
    capsys.readouterr()
    status = run(["ocsp", "query", str(folder / "chain.pem"), "--url", url, "--json", *more])
    said = capsys.readouterr().out
    assert status == 0, said
    assert '"status": "good"' in said
    assert '"trusted": true' in said
    assert '"delegated": true' in said
    assert '"nonce": "echoed"' in said or "--no-nonce" in more


def test_openssl_reads_our_request(ca: CertificateAuthority, tmp_path: Path) -> None:
    from v2gpki.certs.ocsp import IssuerName
    from v2gpki.certs.ocsp_request import write_request
    from v2gpki.certs.view import view

    issuer = view(ca.authority("iso2-cpo-sub-ca-2").der)
    cert_id = IssuerName(issuer.subject, issuer.spki).cert_id("sha256", 0x55AA)
    (tmp_path / "request").write_bytes(write_request(cert_id, bytes(range(32))))
    said = openssl(tmp_path, "-reqin", "request", "-req_text")
    assert "Hash Algorithm: sha256" in said
    assert "Serial Number: 55AA" in said
    assert "OCSP Nonce" in said
