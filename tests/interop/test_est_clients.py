"""EST as others speak it: strongSwan's pki, BouncyCastle's client, curl with openssl. Over TLS, on loopback."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from tests.conftest import PASSPHRASE
from tests.interop.est_server import PASSWORD, STATION, USER, EstServer, est_server
from tests.services.est.desk import csr
from v2gpki.certs.chain import pem
from v2gpki.keys import pkcs8
from v2gpki.services.est import LabelOptions
from v2gpki.wiring import CertificateAuthority, open_authority

JARS = ":".join(f"/usr/share/java/{name}.jar" for name in ("bcpkix", "bcprov", "bcutil"))
JAVA = Path(__file__).parent / "est" / "BouncyCastleEst.java"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CertificateAuthority]:
    """A home of today, since the clients read the machine's clock."""
    folder = tmp_path_factory.mktemp("est") / "home"
    with open_authority(folder, passphrase=PASSPHRASE, create=True) as ca:
        ca.initialise(ca.plan(["iso15118-2", "iso15118-20", "ocpp"]), org="Acme")
        yield ca


@pytest.fixture(scope="module")
def server(home: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EstServer]:
    options = {"mo": LabelOptions(wrap=64)}
    with est_server(home, tmp_path_factory.mktemp("est") / "server", options=options) as running:
        yield running


class Client:
    """A key, a request for it as a file, and what was issued for it."""

    def __init__(self, folder: Path, name: str = STATION, subject: x509.Name | None = None) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.request = folder / f"request-{len(list(folder.iterdir()))}.der"
        self.request.write_bytes(csr(self.key, name, subject=subject))
        self.key_file = self.request.with_suffix(".key")
        self.key_file.write_bytes(pkcs8.plain(self.key))

    def judge(self, server: EstServer, der: bytes, role: str = "secc") -> x509.Certificate:
        """What was handed out is for this key, and stands in the store."""
        certificate = x509.load_der_x509_certificate(der)
        assert certificate.public_key() == self.key.public_key()
        record = next(iter(server.ca.store.find_certificates(prefix=f"{certificate.serial_number:x}")))
        assert (record.der, record.role, record.caller) == (der, role, USER)
        return certificate


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path)


def run(*command: str | Path, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"LC_ALL": "C"}
    done = subprocess.run([*map(str, command)], capture_output=True, timeout=60, check=False, env=environment)
    assert not check or done.returncode == 0, f"{done.stdout!r}\n{done.stderr.decode(errors='replace')}"
    return done


# -- strongSwan -------------------------------------------------------------------------------------

strongswan = pytest.mark.interop("strongswan")


@strongswan
@pytest.mark.parametrize("path", ["", "/cpo", "/cpo/ISO15118-2"])
def test_strongswan_enrols(server: EstServer, client: Client, path: str) -> None:
    done = run(
        "pki", "--est", "--url", server.url + path, "--in", client.request, "--cacert", server.root,
        "--userpass", f"{USER}:{PASSWORD}",
    )  # fmt: skip
    client.judge(server, done.stdout)


@strongswan
def test_strongswan_renews_with_its_certificate(server: EstServer, client: Client) -> None:
    first = run(
        "pki", "--est", "--url", server.url, "--in", client.request, "--cacert", server.root,
        "--userpass", f"{USER}:{PASSWORD}",
    ).stdout  # fmt: skip
    current = client.folder / "current.der"
    current.write_bytes(first)
    intermediates: list[str | Path] = []
    for slug in ("iso2-cpo-sub-ca-2", "iso2-cpo-sub-ca-1", "iso2-v2g-root"):
        file = client.folder / f"{slug}.der"
        file.write_bytes(server.ca.authority(slug).der)
        intermediates += ["--cacert", file]
    renewal = Client(client.folder, subject=x509.load_der_x509_certificate(first).subject)
    done = run(
        "pki", "--est", "--url", server.url, "--in", renewal.request, "--cacert", server.root, *intermediates,
        "--cert", current, "--key", client.key_file,
    )  # fmt: skip
    renewed = renewal.judge(server, done.stdout)
    assert renewed.subject == x509.load_der_x509_certificate(first).subject
    assert done.stdout != first


@strongswan
def test_strongswan_is_refused_with_a_wrong_password(server: EstServer, client: Client) -> None:
    done = run(
        "pki", "--est", "--url", server.url, "--in", client.request, "--cacert", server.root,
        "--userpass", f"{USER}:wrong", check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert done.stdout == b""


@strongswan
@pytest.mark.parametrize(("path", "branch"), [("", "cpo"), ("/cps", "cps")])
def test_strongswan_fetches_the_ca_certificates(server: EstServer, tmp_path: Path, path: str, branch: str) -> None:
    run("pki", "--estca", "--url", server.url + path, "--cacert", server.root, "--caout", tmp_path / "ca.der")
    fetched = {file.read_bytes() for file in tmp_path.iterdir()}
    slugs = (f"iso2-{branch}-sub-ca-2", f"iso2-{branch}-sub-ca-1", "iso2-v2g-root")
    assert fetched == {server.ca.authority(slug).der for slug in slugs}


# -- BouncyCastle -----------------------------------------------------------------------------------


def bouncy_castle(
    server: EstServer, client: Client, *, label: str = "", store: Path | str = ""
) -> dict[str, list[str]]:
    port = server.url.rpartition(":")[2]
    done = run(
        "java", "-cp", JARS, JAVA, "localhost", port, label, server.root, USER, PASSWORD, store, client.request
    )
    found: dict[str, list[str]] = {}
    for line in done.stdout.decode().splitlines():
        kind, _, value = line.partition(" ")
        found.setdefault(kind, []).append(value)
    return found


@pytest.mark.interop("bouncycastle")
def test_bouncy_castle_waits_for_the_challenge_enrols_and_renews(server: EstServer, client: Client) -> None:
    found = bouncy_castle(server, client, label="cpo")
    slugs = ("iso2-cpo-sub-ca-2", "iso2-cpo-sub-ca-1", "iso2-v2g-root")
    assert {base64.b64decode(text) for text in found["ca"]} == {server.ca.authority(slug).der for slug in slugs}
    # id-ecPublicKey and ecdsa-with-SHA256: RFC 5480 2.1.1, RFC 5758 3.2
    assert set(found["attribute"]) == {"1.2.840.10045.2.1", "1.2.840.10045.4.3.2"}
    (given,) = found["certificate"]
    certificate = client.judge(server, base64.b64decode(given))
    chain = [x509.load_der_x509_certificate(server.ca.authority(slug).der) for slug in slugs[:2]]
    store, protection = client.folder / "current.p12", BestAvailableEncryption(PASSWORD.encode())
    store.write_bytes(pkcs12.serialize_key_and_certificates(b"est", client.key, certificate, chain, protection))
    renewal = Client(client.folder, subject=certificate.subject)
    (again,) = bouncy_castle(server, renewal, store=store)["certificate"]
    renewal.judge(server, base64.b64decode(again))


# -- curl and openssl -------------------------------------------------------------------------------


def curl(server: EstServer, url: str, *more: str | Path, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    return run("curl", "-sS", "--fail-with-body", "--cacert", server.root, *more, server.url + url, check=check)


CREDENTIAL = ("--user", f"{USER}:{PASSWORD}")


@pytest.mark.interop("curl", "openssl")
@pytest.mark.parametrize(
    "send",
    ["--data @one-line", "--data @wrapped", "--data-binary @wrapped", "--data-binary @der", "--data-binary @pem",
     "--data-urlencode @one-line", "--data-binary @wrapped -H Transfer-Encoding:chunked", "-T pem -X POST"],
)  # fmt: skip
def test_curl_recipes(server: EstServer, client: Client, send: str) -> None:
    der = client.request.read_bytes()
    files = {
        "der": der,
        "one-line": base64.b64encode(der),
        "wrapped": base64.encodebytes(der),
        "pem": run("openssl", "req", "-inform", "DER", "-in", client.request).stdout,
    }
    for name, content in files.items():
        (client.folder / name).write_bytes(content)
    arguments = [part.replace("@", f"@{client.folder}/") for part in send.split()]
    arguments = [str(client.folder / part) if part in files else part for part in arguments]
    answer = curl(server, "/cpo/simpleenroll/ISO15118-2", *CREDENTIAL, *arguments).stdout
    der = run_with(["openssl", "base64", "-d", "-A"], answer.strip())
    printed = run_with(["openssl", "pkcs7", "-inform", "DER", "-print_certs"], der)
    assert printed.count(b"BEGIN CERTIFICATE") == 1
    client.judge(server, run_with(["openssl", "x509", "-outform", "DER"], printed))


def run_with(command: list[str], given: bytes) -> bytes:
    done = subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.interop("curl", "openssl")
def test_openssl_prints_the_chain_in_its_order(server: EstServer) -> None:
    answer = curl(server, "/cpo/cacerts/ISO15118-2").stdout
    der = run_with(["openssl", "base64", "-d", "-A"], answer.strip())
    printed = run_with(["openssl", "pkcs7", "-inform", "DER", "-print_certs"], der)
    slugs = ("iso2-cpo-sub-ca-2", "iso2-cpo-sub-ca-1", "iso2-v2g-root")
    expected = [server.ca.authority(slug).der for slug in slugs]
    places = [printed.index(pem([der]).strip()) for der in expected]
    assert places == sorted(places)


@pytest.mark.interop("curl", "openssl")
def test_a_wrapped_label_is_for_shell_scripts(server: EstServer) -> None:
    answer = curl(server, "/mo/cacerts/ISO15118-2").stdout
    assert b"CERTIFICATE" in run_with(
        ["openssl", "pkcs7", "-inform", "DER", "-print_certs"], run_with(["openssl", "enc", "-base64", "-d"], answer)
    )


@pytest.mark.interop("curl")
def test_curl_over_both_versions_of_tls(server: EstServer) -> None:
    for version in ("1.2", "1.3"):
        arguments = (f"--tlsv{version}", "--tls-max", version)
        assert curl(server, "/.well-known/est/cacerts", *arguments).stdout.startswith(b"MII")


@pytest.mark.interop("curl")
def test_curl_shows_a_refusal_as_text(server: EstServer, client: Client) -> None:
    request = ("--data-binary", f"@{client.request}", "-H", "Content-Type: application/pkcs10")
    refused = curl(server, "/cpo/simpleenroll/ISO15118-2", *request, check=False)
    assert (refused.returncode, refused.stdout) == (22, b"")
    assert b"401" in refused.stderr
    refused = curl(server, "/cps/simpleenroll/ISO15118-2", *CREDENTIAL, *request, check=False)
    assert b"est.not_registered" in refused.stdout
