"""nginx serves what ``ocsp presign`` wrote, as its help says, and stands before our responder; openssl verifies."""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.conftest import PASSPHRASE
from tests.interop.process import ForeignProcess
from tests.servers.http.serving import serving
from v2gpki import CertificateAuthority, open_authority
from v2gpki.certs.chain import pem
from v2gpki.cli import run
from v2gpki.cli.ocsp import presign

pytestmark = pytest.mark.interop("nginx", "openssl")


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CertificateAuthority]:
    """A home of today: OpenSSL reads the machine's clock."""
    home = tmp_path_factory.mktemp("ocsp") / "home"
    with open_authority(home, passphrase=PASSPHRASE, create=True) as authority:
        authority.initialise(authority.plan(["iso15118-2"]), org="Acme")
        yield authority


@contextmanager
def nginx(folder: Path, location: str) -> Iterator[str]:
    """The address of an nginx with one location."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Root's nginx would read the files under another name, which may not enter the folders of a test.
    user = "user root; " if os.geteuid() == 0 else ""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    (folder / "nginx.conf").write_text(
        f"{user}daemon off; pid {folder}/nginx.pid; error_log stderr notice; events {{}}\n"
        f"http {{ access_log off; {' '.join(f'{kind}_temp_path {folder}/{kind};' for kind in kinds)}\n"
        f"server {{ listen 127.0.0.1:{port}; {location} }} }}\n"
    )
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    command = [program, "-c", str(folder / "nginx.conf"), "-p", str(folder)]
    with ForeignProcess(command, log=folder / "nginx.log", cwd=folder, env=dict(os.environ)) as process:
        process.await_line("start worker process ", 10)
        yield f"http://127.0.0.1:{port}"


def openssl(folder: Path, *arguments: str) -> str:
    ran = subprocess.run(
        ["openssl", "ocsp", *arguments], cwd=folder, capture_output=True, text=True, timeout=30, check=False
    )
    return ran.stdout + ran.stderr


def files(folder: Path, ca: CertificateAuthority) -> list[tuple[str, str]]:
    """A chain as files; (certificate, issuer) of each link."""
    issued = ca.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    chain = [*issued.chain, ca.authority(issued.record.issuer_id).chain[-1]]
    for name, der in zip(("leaf", "sub2", "sub1", "root"), chain, strict=True):
        (folder / f"{name}.pem").write_bytes(pem([der]))
    (folder / "subs.pem").write_bytes(pem(chain[1:3]))
    return [("leaf", "sub2"), ("sub2", "sub1"), ("sub1", "root")]


def paths(folder: Path, issuer: str, *asked: str) -> tuple[str, list[str]]:
    """The base64 of a request that openssl wrote, and the ways in which a client may put it into a path."""
    openssl(folder, "-issuer", f"{issuer}.pem", *asked, "-no_nonce", "-reqout", "req.der")
    plain = base64.b64encode((folder / "req.der").read_bytes()).decode()
    return plain, [plain, quote(plain, safe=""), quote(plain), plain.replace("/", "//")]


def judged(folder: Path, issuer: str, answer: httpx.Response, *asked: str) -> str:
    """What openssl says about an answer to its last request."""
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/ocsp-response"), answer.url
    (folder / "resp.der").write_bytes(answer.content)
    return openssl(
        *(folder, "-reqin", "req.der", "-respin", "resp.der", "-issuer", f"{issuer}.pem", *asked),
        *("-CAfile", "root.pem", "-verify_other", "subs.pem"),
    )


def test_nginx_serves_the_files_of_presign_as_its_help_says(ca: CertificateAuthority, tmp_path: Path) -> None:
    links = files(tmp_path, ca)
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    (tmp_path / "passphrase").chmod(0o600)
    home = ["--home", str(ca.home), "--passphrase-file", str(tmp_path / "passphrase")]
    everything = [f"--hash={name}" for name in ("sha1", "sha256", "sha384", "sha512")]
    assert run([*home, "ocsp", "presign", "--out", str(tmp_path / "cdn"), *everything]) == 0
    said = re.search(r"location /ocsp/ \{.*?index\.ocsp; \}", " ".join((presign.help or "").split()))
    assert said is not None
    with nginx(tmp_path, said[0].replace("DIR/", f"{tmp_path}/cdn/")) as url:
        for certificate, issuer in links:
            for algorithm in ("-sha1", "-sha256", "-sha384", "-sha512"):
                asked = (algorithm, "-cert", f"{certificate}.pem")
                _, ways = paths(tmp_path, issuer, *asked)
                for way in ways:
                    verdict = judged(tmp_path, issuer, httpx.get(f"{url}/ocsp/{way}"), *asked)
                    assert "Response verify OK" in verdict, way
                    assert f"{certificate}.pem: good" in verdict, way


def test_our_responder_behind_an_nginx_that_merges_slashes(ca: CertificateAuthority, tmp_path: Path) -> None:
    """With a path in proxy_pass nginx hands on what it has decoded and merged."""
    files(tmp_path, ca)
    answered = 0
    with serving(ca.home) as (ours,), nginx(tmp_path, f"location /ocsp/ {{ proxy_pass {ours}/; }}") as url:
        for algorithm in ("-sha1", "-sha256", "-sha384", "-sha512"):
            # Three octets of ones are three slashes in a row or more, wherever they stand.
            for serial in ("0x4141ffffff" + "41" * 15, "0x" + "41" * 9 + "ffffff" + "41" * 8):
                asked = (algorithm, "-serial", serial)
                plain, ways = paths(tmp_path, "sub2", *asked)
                if len(re.findall("//+", plain)) > 1:
                    # In the issuer's hashes too, by chance: then perhaps nobody can tell what was meant.
                    continue
                for way in ways:
                    verdict = judged(tmp_path, "sub2", httpx.get(f"{url}/ocsp/{way}"), *asked)
                    assert "Response verify OK" in verdict, way
                    assert f"{serial}: unknown" in verdict, way
                answered += 1
    assert answered
