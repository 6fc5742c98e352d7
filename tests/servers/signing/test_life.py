"""``v2gpki serve`` with the keys in a process of their own: who has what in memory, and what happens when one dies."""

from __future__ import annotations

import base64
import os
import re
import select
import shutil
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509 import ocsp

import v2gpki
from tests.cli.test_serve import Program, program, workers_of
from tests.services.est.desk import csr, key
from tests.services.ocsp.asking import nonce_of, read, request
from v2gpki.cli import run
from v2gpki.cli.serve import _can_begin_anew
from v2gpki.store.records import AuthorityRecord
from v2gpki.wiring.access import access_of, registrations_of

PASSPHRASE = "canary of the signing process 4711"
EST = "/.well-known/est/cpo/simpleenroll"
IDENTIFIERS = [f"DE*ICE*E{number}" for number in range(1000, 1020)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home made by now, and the secret of somebody who may enrol in it."""
    folder = tmp_path_factory.mktemp("made") / "home"
    with v2gpki.open_authority(folder, passphrase=PASSPHRASE, create=True) as ca:
        ca.initialise(ca.plan(["iso15118-2", "ocpp"]), org="Acme")
        _, secret = access_of(ca).create("cpo-a", ["est"], caller="test")
        registrations_of(ca).register("cpo-a", "secc", identifiers=IDENTIFIERS, caller="test")
    return folder, secret


@pytest.fixture
def home(made: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in [name for name in os.environ if name.startswith("V2GPKI_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("V2GPKI_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("V2GPKI_HOME", str(tmp_path / "home"))
    return Path(shutil.copytree(made[0], tmp_path / "home"))


@pytest.fixture
def served(home: Path, tmp_path: Path) -> Iterator[Program]:
    assert home
    with program("--ocsp", "--est", "--workers", "2", cwd=tmp_path) as found:
        yield found


def enrolled(url: str, secret: str, identifier: str) -> httpx.Response:
    kind = {"content-type": "application/pkcs10", "authorization": f"Bearer {secret}"}
    return httpx.post(url + EST, content=csr(key(), identifier), headers=kind, timeout=30)


def certificate_in(answer: httpx.Response) -> x509.Certificate:
    assert answer.status_code == 200, answer.text
    return pkcs7.load_der_pkcs7_certificates(base64.b64decode(answer.content))[0]


def issuer_of(home: Path, certificate: x509.Certificate) -> AuthorityRecord:
    with v2gpki.open_authority(home) as ca:
        return next(
            authority
            for authority in ca.store.authorities()
            if authority.subject_der == certificate.issuer.public_bytes()
        )


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def guard_of(served: Program) -> int:
    [guard] = set(children(served.process.pid)) - set(workers_of(served.process.pid))
    return guard


def holds(process: int, secrets: list[bytes]) -> bool:
    """Whether the writable memory of a process has any of these octets."""
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if found is None:
                continue
            start, end = int(found[1], 16), int(found[2], 16)
            try:
                memory.seek(start)
                octets = memory.read(end - start)
            except OSError:
                continue
            if any(secret in octets for secret in secrets):
                return True
    return False


def secrets_of(home: Path) -> list[bytes]:
    """The passphrase, the home's secret in both of its forms, and the private numbers of two keys."""
    with v2gpki.open_authority(home, passphrase=PASSPHRASE) as ca:
        assert ca.vault is not None
        found = [PASSPHRASE.encode(), ca.vault._secret.octets, ca.vault._secret.octets.hex().encode()]
        for role in ("v2g-root", "cpo-sub-ca-2"):
            [authority] = ca.store.authorities(role=role)
            private_key = ca.vault.private_key(authority.key_id)
            assert isinstance(private_key, ec.EllipticCurvePrivateKey)
            number = private_key.private_numbers().private_value
            found += [number.to_bytes(32, "big"), number.to_bytes(32, "little")]
    return found


def test_est_and_ocsp_are_served_by_workers_without_keys(served: Program, made: tuple[Path, str], home: Path) -> None:
    certificates = [certificate_in(enrolled(served.url, made[1], name)) for name in IDENTIFIERS[:6]]
    issuer = issuer_of(home, certificates[0])
    for certificate in certificates:
        certificate.verify_directly_issued_by(x509.load_der_x509_certificate(issuer.der))
        asked = request(certificate.public_bytes(Encoding.DER), issuer.der, nonce=b"n" * 16)
        answer = httpx.post(f"{served.url}/ocsp", content=asked).content
        assert nonce_of(answer) == b"n" * 16
        signer, response = read(answer).certificates[0], read(answer)
        public = signer.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        assert response.signature_hash_algorithm is not None
        public.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(response.signature_hash_algorithm))
        assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    # The log names the caller, not the process that signed.
    with v2gpki.open_authority(home) as ca:
        rows = [row.caller for row in ca.store.audit_rows() if row.action == "certificate.issued"]
    assert rows.count("cpo-a") == 6

    # Nothing of the keys is in the processes that talk to the world.
    secrets = secrets_of(home)
    for process in (served.process.pid, *workers_of(served.process.pid)):
        assert PASSPHRASE.encode() not in Path(f"/proc/{process}/environ").read_bytes()
        opened = [os.readlink(file) for file in Path(f"/proc/{process}/fd").iterdir() if file.is_symlink()]
        assert not [name for name in opened if name.startswith(str(home / "keys"))]
        assert not holds(process, secrets)
    # The search finds what is there; the memory of the two that know secrets is read by root alone.
    assert holds(served.process.pid, [str(home).encode()])
    [signing] = children(guard_of(served))
    for process, known in ((signing, secrets), (guard_of(served), [PASSPHRASE.encode()])):
        if os.geteuid() == 0:
            assert holds(process, known)
        else:
            with pytest.raises(PermissionError):
                holds(process, known)
    code, errors = served.end()
    assert code == 0, errors
    assert list((home / "sessions").iterdir()) == []


def test_the_signing_process_is_started_again(served: Program, made: tuple[Path, str], home: Path) -> None:
    before = certificate_in(enrolled(served.url, made[1], IDENTIFIERS[0]))
    guard = guard_of(served)
    for number in (1, 2):
        [signing] = children(guard)
        handle = os.pidfd_open(signing)
        os.kill(signing, signal.SIGKILL)
        select.select([handle], [], [], 60)
        os.close(handle)
        # Who asks meanwhile waits for the next one.
        certificate = certificate_in(enrolled(served.url, made[1], IDENTIFIERS[number]))
        assert certificate.issuer == before.issuer
    assert httpx.get(f"{served.url}/readyz").status_code == 200


def test_without_the_signing_process_the_service_says_so_and_lives(
    served: Program, made: tuple[Path, str], home: Path
) -> None:
    certificate = certificate_in(enrolled(served.url, made[1], IDENTIFIERS[0]))
    guard = guard_of(served)
    [signing] = children(guard)
    handle = os.pidfd_open(signing)
    os.kill(guard, signal.SIGKILL)
    os.kill(signing, signal.SIGKILL)
    select.select([handle], [], [], 60)
    os.close(handle)
    answer = enrolled(served.url, made[1], IDENTIFIERS[1])
    assert answer.status_code == 503, answer.text
    issuer = issuer_of(home, certificate)
    asked = request(certificate.public_bytes(Encoding.DER), issuer.der, nonce=b"n" * 16)
    answered = read(httpx.post(f"{served.url}/ocsp", content=asked).content)
    if answered.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL:
        # RFC 9654 2.1: one that was signed ahead, without the nonce.
        assert not list(answered.extensions)
    else:
        assert answered.response_status is ocsp.OCSPResponseStatus.TRY_LATER
    assert httpx.get(f"{served.url}/healthz").status_code == 200
    ready = httpx.get(f"{served.url}/readyz")
    assert (ready.status_code, ready.json()["checks"]["keys"]) == (503, "signing.unavailable")
    assert served.end()[0] == 0


def test_a_process_of_the_same_user_that_is_no_worker_is_turned_away(served: Program, home: Path) -> None:
    [path] = (home / "sessions").glob("*.sock")
    assert path.stat().st_mode & 0o777 == 0o600
    assert (home / "sessions").stat().st_mode & 0o777 == 0o700
    folder = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
        stranger.settimeout(20)
        stranger.connect(f"/proc/self/fd/{folder}/{path.name}")
        with_nothing = b""
        try:
            stranger.sendall(b"\x00\x00\x00\x0b\x81\xa4type\xa4seal")
            with_nothing = stranger.recv(1)
        except ConnectionError:
            pass
        assert with_nothing == b""
    os.close(folder)
    assert httpx.get(f"{served.url}/readyz").status_code == 200


def test_a_certificate_of_the_home_for_tls(home: Path, tmp_path: Path) -> None:
    with v2gpki.open_authority(home) as ca:
        [root] = [ca.store.authority("ocpp-csms-root")]
    assert root is not None
    (tmp_path / "root.pem").write_bytes(
        x509.load_der_x509_certificate(root.der).public_bytes(Encoding.PEM)
    )
    with program("--crl", "--tls", "--tls-name", "localhost", cwd=tmp_path) as served:
        port = served.url.rpartition(":")[2]
        trust = ssl.create_default_context(cafile=str(tmp_path / "root.pem"))
        assert httpx.get(f"https://localhost:{port}/healthz", verify=trust).status_code == 200
        assert not holds(served.process.pid, [PASSPHRASE.encode()])


def test_in_one_process_for_a_lab(home: Path, tmp_path: Path) -> None:
    with program("--ocsp", "--one-process", cwd=tmp_path) as served:
        assert children(served.process.pid) == []
        assert httpx.get(f"{served.url}/readyz").status_code == 200
        assert holds(served.process.pid, [PASSPHRASE.encode()])


def test_the_option_that_serve_gives_itself(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A program that runs the command line inside itself is not replaced: it serves in one process."""
    assert home
    assert not _can_begin_anew()
    assert run(["serve", "--help"]) == 0
    assert "--signing-process" not in capsys.readouterr().out
