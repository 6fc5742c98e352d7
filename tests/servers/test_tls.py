"""TLS of a served home: versions, suites, client certificates. Certificates are judged by the machine's clock, so the
home was made a hundred days before today, whenever that is."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import v2gpki
from tests.conftest import PASSPHRASE
from tests.servers.running import Server, serving, with_settings
from tests.services.est.desk import csr, key
from v2gpki.certs.chain import pem
from v2gpki.errors import V2GPKIError
from v2gpki.keys import pkcs8
from v2gpki.servers.tls import TlsMaker
from v2gpki.servers.tls_kept import LOOK, KeptTls
from v2gpki.wiring.access import access_of, registrations_of
from v2gpki.wiring.tls import server_certificate

NOW = datetime.now(UTC).replace(microsecond=0)
THEN = NOW - timedelta(days=100)
ENROL = "/.well-known/est/cpo/simpleenroll"
NAME = "DE*ICE*E1001"


class Clients:
    """Client certificates: PEM files with chain and key."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        with v2gpki.open_authority(home, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(THEN), caller="test") as ca:
            self.expired, _ = self._issue(ca, "expired", "DE*ICE*E9")
        with v2gpki.open_authority(home, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(NOW), caller="test") as ca:
            self.good, good = self._issue(ca, "good", NAME)
            self.unknown, _ = self._issue(ca, "unknown", "DE*ICE*E2")
            self.revoked, revoked = self._issue(ca, "revoked", "DE*ICE*E3")
            ca.revoke(f"{x509.load_der_x509_certificate(revoked).serial_number:x}")
            for name, certificate in (("cpo-a", good), ("cpo-c", revoked)):
                access_of(ca).create(name, ["est"], certificate=certificate, caller="test")
            _, self.secret = access_of(ca).create("cpo-b", ["est"], caller="test")
            registrations_of(ca).register("cpo-a", "secc", identifiers=[NAME], caller="test")
            self.root = folder / "root.pem"
            self.root.write_bytes(pem([ca.authority("ocpp-csms-root").der]))
        self.foreign = self._foreign()

    def _issue(self, ca: v2gpki.CertificateAuthority, file: str, name: str) -> tuple[Path, bytes]:
        issued = ca.issue("secc", id=name, edition="iso15118-2")
        assert issued.private_key is not None
        path = self.folder / f"{file}.pem"
        path.write_bytes(pem(issued.chain) + pkcs8.plain(issued.private_key))
        return path, issued.record.der

    def _foreign(self) -> Path:
        """A certificate by nobody whom the home knows, with the same name."""
        private = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
        builder = builder.serial_number(7).not_valid_before(THEN).not_valid_after(NOW + timedelta(days=100))
        made = builder.sign(private, hashes.SHA256())
        path = self.folder / "foreign.pem"
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + pkcs8.plain(private))
        return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls") / "home"
    with v2gpki.open_authority(
        folder, passphrase=PASSPHRASE, create=True, clock=v2gpki.FixedClock(THEN), caller="test"
    ) as ca:
        ca.initialise(ca.plan(["iso15118-2", "ocpp"]), org="Acme")
        # A server publishes its lists after it has begun: the first request would come before the first list.
        ca.publish_crl("iso2-v2g-root")
    return folder


@pytest.fixture(scope="module")
def clients(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Clients:
    return Clients(tmp_path_factory.mktemp("clients"), home)


@pytest.fixture(scope="module")
def server(home: Path, clients: Clients, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """https with a certificate of the home, and a plain address beside it."""
    copy = Path(shutil.copytree(home, tmp_path_factory.mktemp("served") / "home"))
    settings = with_settings(listen=("https://127.0.0.1:0", "http://127.0.0.1:0"), tls=True)
    with serving(copy, settings, clock=v2gpki.FixedClock(NOW)) as started:
        yield started


def context(clients: Clients, certificate: Path | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(clients.root))
    if certificate is not None:
        made.load_cert_chain(certificate)
    return made


def client(server: Server, clients: Clients, certificate: Path | None = None) -> httpx.Client:
    return httpx.Client(base_url=server.url, verify=context(clients, certificate), timeout=30)


def handshake(server: Server, made: ssl.SSLContext) -> ssl.SSLSocket:
    return made.wrap_socket(server.connect(), server_hostname="127.0.0.1")


# -- the server's side ---------------------------------------------------------------------------
def test_the_home_issues_its_own_certificate_once(server: Server, clients: Clients) -> None:
    with client(server, clients) as https:
        assert https.get("/healthz").status_code == 200
        [left] = [line for line in https.get("/metrics").text.splitlines() if line.startswith("v2gpki_tls_expiry")]
        assert 360 < float(left.split()[1]) <= 366
    with v2gpki.open_authority(server.home, clock=v2gpki.FixedClock(NOW)) as ca:
        assert ca.store.count_certificates(role="csms") == 1
    with pytest.raises(httpx.ConnectError), httpx.Client(verify=ssl.create_default_context()) as stranger:
        stranger.get(server.url)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["1.0", "1.1"])
def test_old_versions_are_refused(server: Server, clients: Clients, version: ssl.TLSVersion) -> None:
    made = context(clients)
    with warnings.catch_warnings():
        # The versions themselves are deprecated; OpenSSL speaks them at its lowest level only.
        warnings.simplefilter("ignore", DeprecationWarning)
        made.set_ciphers("ALL:@SECLEVEL=0")
        made.minimum_version = version
        made.maximum_version = version
    with pytest.raises(ssl.SSLError, match=r"(?i)alert.protocol.version"):
        handshake(server, made).close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_new_versions_are_spoken(server: Server, clients: Clients, version: ssl.TLSVersion) -> None:
    made = context(clients)
    made.minimum_version = made.maximum_version = version
    with handshake(server, made) as secured:
        assert secured.version() == f"TLSv1.{version - 0x301}"
        name, _, bits = secured.cipher() or ("", "", 0)
        assert bits >= 128
        assert "GCM" in name or "CHACHA20" in name
        assert secured.compression() is None


@pytest.mark.parametrize(
    "suites", ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256"]
)
def test_old_suites_are_refused(server: Server, clients: Clients, suites: str) -> None:
    made = context(clients)
    made.set_ciphers(suites)
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        handshake(server, made).close()


def test_a_handshake_that_does_not_come_ends(server: Server) -> None:
    with server.connect() as silent:
        assert silent.recv(100) == b""


def test_plain_http_at_a_tls_address_hurts_nobody(server: Server, clients: Clients) -> None:
    with server.connect() as other:
        other.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        try:
            while other.recv(1000):
                pass
        except ConnectionResetError:
            pass
    with client(server, clients) as https:
        assert https.get("/healthz").status_code == 200


def test_the_plain_address_serves_the_plain_parts_only(server: Server) -> None:
    with server.client(1) as plain:
        assert plain.get("/crl/iso2-v2g-root.crl").status_code == 200
        assert plain.post("/ocsp", content=b"x").status_code == 200
        assert plain.get("/healthz").status_code == 200
        assert plain.post(ENROL, content=b"x").status_code == 404
        assert plain.post("/oauth/token", data={"a": "b"}).status_code == 404


# -- client certificates -------------------------------------------------------------------------
def test_the_plain_address_says_where_the_others_are(server: Server) -> None:
    """What is nowhere has no such hint."""
    with server.client(1) as plain:
        for path, method in (
            (ENROL, "POST"),
            ("/.well-known/est/cacerts", "GET"),
            ("/v1/root/rootCerts", "GET"),
            ("/opnc/v1/rcp/rootcertificates", "GET"),
            ("/oauth/token", "POST"),
        ):
            answer = plain.request(method, path)
            assert (answer.status_code, answer.json()["code"]) == (404, "serving.no_such_path"), path
            assert answer.json()["hint"].endswith(f"served with TLS alone, at {server.urls[0]}"), path
        assert plain.post(ENROL).json()["hint"].startswith("EST enrolment:")
        for path in ("/nothing", "/v1/nothing", "/.well-known/nothing", "/opnc"):
            assert plain.get(path).json()["hint"] == ""


@pytest.mark.parametrize(("name", "place"), [("", "https, port {}"), ("localhost", "https://localhost:{}")])
def test_an_address_that_stands_for_all_is_named_by_what_clients_use(
    home: Path, tmp_path: Path, name: str, place: str
) -> None:
    copy = Path(shutil.copytree(home, tmp_path / "home"))
    settings = with_settings(listen=("https://0.0.0.0:0", "http://127.0.0.1:0"), tls=True, tls_name=name)
    with serving(copy, settings, clock=v2gpki.FixedClock(NOW)) as server, server.client(1) as plain:
        port = server.urls[0].rpartition(":")[2]
        assert plain.post(ENROL).json()["hint"].endswith(f"alone, at {place.format(port)}")


def enrol(server: Server, clients: Clients, certificate: Path | None, **more: str) -> httpx.Response:
    headers = {"content-type": "application/pkcs10"} | more
    with client(server, clients, certificate) as https:
        return https.post(ENROL, content=csr(key(), NAME), headers=headers)


def test_a_client_certificate_stands_for_its_identity(server: Server, clients: Clients) -> None:
    assert enrol(server, clients, clients.good).status_code == 200
    assert enrol(server, clients, None).status_code == 401
    # One that no token names is nobody's, and no obstacle to another credential.
    assert enrol(server, clients, clients.unknown).status_code == 401
    bearer = {"authorization": f"Bearer {clients.secret}"}
    assert "est.not_registered" in enrol(server, clients, clients.unknown, **bearer).text
    # Two credentials of two identities are nobody's.
    assert enrol(server, clients, clients.good, **bearer).status_code == 401


def test_a_revoked_client_certificate_is_refused(server: Server, clients: Clients) -> None:
    assert enrol(server, clients, clients.revoked).status_code == 401
    bearer = {"authorization": f"Bearer {clients.secret}"}
    assert enrol(server, clients, clients.revoked, **bearer).status_code == 401


@pytest.mark.parametrize("which", ["expired", "foreign"])
def test_a_client_certificate_that_is_none_is_refused_in_the_handshake(
    server: Server, clients: Clients, which: str
) -> None:
    with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
        enrol(server, clients, getattr(clients, which))
    made = context(clients, getattr(clients, which))
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match={"expired": "(?i)expired", "foreign": "(?i)unknown.ca"}[which]):
        handshake(server, made).close()
    reason = {"expired": "certificate has expired", "foreign": "self-signed certificate"}[which]
    for _ in range(20):
        with pytest.raises(ssl.SSLError):
            handshake(server, made).close()
    with client(server, clients) as https:
        ends = time.monotonic() + 30
        while sum(line["count"] for line in refusals(server, reason)) < 22:
            assert https.get("/healthz").status_code == 200
            assert time.monotonic() < ends
    # Not a line for each: one at the next look, one five seconds later.
    assert len(refusals(server, reason)) <= 8
    assert {line["code"] for line in refusals(server, reason)} == {"handshake_refused"}


def refusals(server: Server, reason: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in server.log.getvalue().splitlines()]
    return [line for line in lines if line["message"] == "handshake refused" and line["reason"] == reason]


def test_other_authorities_may_be_given(home: Path, clients: Clients, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(home, tmp_path / "home"))
    settings = with_settings(listen=("127.0.0.1:0",), tls=True, client_ca=(str(clients.foreign),))
    with serving(copy, settings, clock=v2gpki.FixedClock(NOW)) as server:
        assert enrol(server, clients, clients.foreign).status_code == 401
        with client(server, clients, clients.foreign) as https:
            assert https.get("/healthz").status_code == 200


def test_the_announced_address_verifies(home: Path, clients: Clients, tmp_path: Path) -> None:
    """A client that checks names calls the very URL that the server tells."""
    copy = Path(shutil.copytree(home, tmp_path / "home"))
    settings = with_settings(listen=("127.0.0.1:0",), tls=True, parts=("crl",))
    with serving(copy, settings, clock=v2gpki.FixedClock(NOW)) as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert server.warnings == []
        assert httpx.get(f"{server.url}/healthz", verify=context(clients)).status_code == 200
        with pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
            context(clients).wrap_socket(server.connect(), server_hostname="localhost")
    with serving(copy, replace(settings, listen=("localhost:0",)), clock=v2gpki.FixedClock(NOW)) as server:
        assert server.warnings == []
        assert httpx.get(f"{server.url}/healthz", verify=context(clients)).status_code == 200


def test_clients_are_warned_of_other_names(home: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(home, tmp_path / "home"))
    settings = with_settings(listen=("localhost:0", "127.0.0.1:0"), tls=True, parts=("crl",))
    with serving(copy, settings, clock=v2gpki.FixedClock(NOW)) as server:
        assert server.warnings == [
            f"the TLS certificate is for localhost: clients that call {server.urls[1]} refuse it"
        ]
    everywhere = replace(settings, listen=("0.0.0.0:0",))
    with serving(copy, everywhere, clock=v2gpki.FixedClock(NOW)) as server:
        [told] = server.warnings
        assert "0.0.0.0" in told
        assert "--tls-name" in told
    with serving(copy, replace(everywhere, tls_name="localhost"), clock=v2gpki.FixedClock(NOW)) as server:
        assert server.warnings == []


# -- what cannot be ------------------------------------------------------------------------------
def test_certificates_that_cannot_be_used(home: Path, clients: Clients, tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    encrypted = tmp_path / "encrypted.pem"
    encrypted.write_bytes(pkcs8.encrypt(key(), b"secret", 2048))
    good, other = str(clients.good), str(clients.unknown)
    for changes in (
        {"tls_cert": str(tmp_path / "missing.pem")},
        {"tls_cert": str(junk)},
        {"tls_cert": good, "tls_key": other},
        {"tls_cert": good, "tls_key": str(encrypted)},
        {"tls_cert": good, "tls_key": str(junk)},
        {"listen": ("https://127.0.0.1:0",)},
    ):
        settings = with_settings(**({"listen": ("127.0.0.1:0",)} | changes))
        with pytest.raises(V2GPKIError, match=r"serving\.bad_certificate"), serving(home, settings):
            pass
    with pytest.raises(V2GPKIError, match=r"file\.unreadable"), serving(
        home, with_settings(tls_cert=good, client_ca=(str(tmp_path / "missing.pem"),))
    ):
        pass


def test_a_certificate_from_files(home: Path, clients: Clients, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(home, tmp_path / "home"))
    with serving(copy, with_settings(tls_cert=str(clients.good)), clock=v2gpki.FixedClock(NOW)) as server:
        made = ssl.create_default_context()
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        with made.wrap_socket(socket.create_connection(server.address, timeout=20)) as secured:
            shown = secured.getpeercert(binary_form=True)
        assert shown == x509.load_pem_x509_certificate(clients.good.read_bytes()).public_bytes(
            serialization.Encoding.DER
        )


def test_files_that_change_are_read_anew(home: Path, clients: Clients, tmp_path: Path) -> None:
    """A renewed certificate and another CA for clients, without a restart; nonsense in between changes nothing."""
    copy, files = Path(shutil.copytree(home, tmp_path / "home")), tmp_path / "tls.pem"
    accepted = tmp_path / "accepted.pem"
    shutil.copy(clients.good, files)
    shutil.copy(clients.root, accepted)
    settings = with_settings(tls_cert=str(files), client_ca=(str(accepted),))
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    foreign = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    foreign.check_hostname, foreign.verify_mode = False, ssl.CERT_NONE
    foreign.load_cert_chain(clients.foreign)

    def shown(server: Server) -> bytes:
        with handshake(server, anyone) as connection:
            return connection.getpeercert(binary_form=True) or b""

    def refused(server: Server) -> bool:
        try:
            return httpx.get(f"{server.url}/healthz", verify=foreign).status_code != 200
        except httpx.HTTPError:
            return True

    with serving(copy, settings, clock=v2gpki.FixedClock(NOW)) as server:
        first = shown(server)
        assert refused(server)
        files.write_bytes(b"nonsense")
        ends = time.monotonic() + 30
        while "TLS goes on as it was" not in server.log.getvalue():
            assert time.monotonic() < ends
        assert shown(server) == first
        shutil.copy(clients.unknown, files)
        shutil.copy(clients.foreign, accepted)
        while shown(server) == first:
            assert time.monotonic() < ends
        assert not refused(server)


def test_an_authority_that_is_made_while_it_serves(home: Path, clients: Clients, tmp_path: Path) -> None:
    """Its certificates are accepted by the next handshake, and no more when it is revoked."""
    copy, mine = Path(shutil.copytree(home, tmp_path / "home")), tmp_path / "mine.pem"
    settings = with_settings(listen=("127.0.0.1:0",), tls=True, parts=("crl",))
    with serving(copy, settings, clock=v2gpki.FixedClock(NOW)) as server:
        with v2gpki.open_authority(copy, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(NOW), caller="test") as ca:
            ca.initialise(ca.plan(["iso15118-20"]), org="Acme")
            issued = ca.issue("secc", id="DE-ICE-S-0001", edition="iso15118-20", suite="p521")
            assert issued.private_key is not None
            mine.write_bytes(pem(issued.chain) + pkcs8.plain(issued.private_key))
            with client(server, clients, mine) as https:
                assert https.get("/healthz").status_code == 200
            for authority in ca.store.authorities(edition="iso15118-20"):
                ca.revoke(f"{authority.serial:x}")
        with pytest.raises(httpx.HTTPError), client(server, clients, mine) as https:
            https.get("/healthz")
        with client(server, clients) as https:
            assert https.get("/healthz").status_code == 200


def test_the_first_authority_of_a_home_is_made_while_it_serves(home: Path, clients: Clients, tmp_path: Path) -> None:
    """Its certificates are asked for by the next handshake, not only after another start."""
    bare, chain, private = tmp_path / "home", tmp_path / "chain.pem", tmp_path / "key.pem"
    clock = v2gpki.FixedClock(NOW)
    with v2gpki.open_authority(bare, passphrase=PASSPHRASE, create=True, clock=clock, caller="test"):
        pass
    other = Path(shutil.copytree(home, tmp_path / "other"))
    with v2gpki.open_authority(other, passphrase=PASSPHRASE, clock=clock, caller="test") as ca:
        own = server_certificate(ca, "127.0.0.1")
    chain.write_bytes(own.chain)
    private.write_bytes(own.private_key)
    settings = with_settings(
        listen=("https://127.0.0.1:0",), tls_cert=str(chain), tls_key=str(private), parts=("crl", "est")
    )
    mine = tmp_path / "mine.pem"
    with serving(bare, settings, clock=clock) as server:
        with client(server, clients) as https:
            assert https.get("/healthz").status_code == 200
        with pytest.raises(httpx.HTTPError), client(server, clients, clients.good) as https:
            https.get("/healthz")
        with v2gpki.open_authority(bare, passphrase=PASSPHRASE, clock=clock, caller="test") as ca:
            ca.initialise(ca.plan(["iso15118-2"]), org="First")
            issued = ca.issue("secc", id=NAME, edition="iso15118-2")
            assert issued.private_key is not None
            # The leaf alone: the Sub-CA that issued it is known here.
            mine.write_bytes(pem(issued.chain[:1]) + pkcs8.plain(issued.private_key))
            access_of(ca).create("cpo-a", ["est"], certificate=issued.record.der, caller="test")
            registrations_of(ca).register("cpo-a", "secc", identifiers=[NAME], caller="test")
        assert enrol(server, clients, mine).status_code == 200
        assert enrol(server, clients, None).status_code == 401


def test_the_certificate_of_the_home_is_renewed_before_it_ends(home: Path, tmp_path: Path) -> None:
    """A month before, without a restart, once; by the clock of the home."""
    copy, clock = Path(shutil.copytree(home, tmp_path / "home")), v2gpki.FixedClock(NOW)
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE

    def ends(server: Server) -> datetime:
        with handshake(server, anyone) as connection:
            return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"").not_valid_after_utc

    settings = with_settings(listen=("127.0.0.1:0",), tls=True, parts=("crl",))
    with serving(copy, settings, clock=clock) as server:
        first = ends(server)
        clock.moment = first - timedelta(days=30, seconds=1)
        looked = time.monotonic() + 2.5 * LOOK
        while time.monotonic() < looked:
            assert ends(server) == first
        clock.moment = first - timedelta(days=30)
        until = time.monotonic() + 30
        while ends(server) == first:
            assert time.monotonic() < until
        assert ends(server) > first + timedelta(days=300)
    with v2gpki.open_authority(copy, clock=clock) as ca:
        assert ca.store.count_certificates(role="csms") == 2


def test_below_an_authority_that_ends_itself_it_is_renewed_once_an_hour(home: Path, tmp_path: Path) -> None:
    """No certificate holds longer than its issuer: each new one is due at once, and is not asked for at each look."""
    copy, clock = Path(shutil.copytree(home, tmp_path / "home")), v2gpki.FixedClock(NOW)
    with v2gpki.open_authority(copy, passphrase=PASSPHRASE, clock=clock, caller="test") as ca:
        clock.moment = ca.authority("ocpp-csms-root").not_after - timedelta(days=20)
        maker = TlsMaker(with_settings(tls=True), "localhost")
        kept = KeptTls(maker.made(ca), maker, ca, [])
        assert [kept.look() for _ in range(3)] == [True, False, False]
        assert ca.store.count_certificates(role="csms") == 2
        clock.moment += timedelta(hours=1)
        assert [kept.look() for _ in range(3)] == [True, False, False]


def test_a_home_without_an_authority_for_servers(home_iso2: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(home_iso2, tmp_path / "home"))
    with pytest.raises(V2GPKIError, match=r"serving\.no_certificate"), serving(copy, with_settings(tls=True)):
        pass
