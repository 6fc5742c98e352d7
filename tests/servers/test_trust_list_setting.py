"""``trust_list`` in ``[serve]``: what cannot be served is refused before anything is opened; what can is answered."""

from __future__ import annotations

import base64
import json
import os
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import BIRTH
from tests.servers.http.pool_client import Served
from tests.servers.running import serving, with_settings
from v2gpki import CertificateAuthority, V2GPKIError
from v2gpki.certs import trust_list
from v2gpki.certs.trust_list import ListedRoot, TrustList
from v2gpki.wiring.serve_settings import ServeSettings


def content_of(ca: CertificateAuthority, number: int = 1) -> TrustList:
    root = ListedRoot(ca.authority("iso2-v2g-root").der, "v2g-root", ("iso15118-2",))
    return TrustList("Acme", number, BIRTH, BIRTH + timedelta(days=30), (root,))


def signed_list(ca: CertificateAuthority, number: int = 1) -> bytes:
    authority = ca.authority("iso2-v2g-root")
    assert ca.vault is not None
    key = ca.vault.signer(authority.key_id)
    return trust_list.sign(content_of(ca, number), signer=key, certificate=authority.der, chain=(), at=BIRTH)


def refusal(home: Path, settings: ServeSettings) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as found, serving(home, settings):
        pass
    return found.value


@pytest.fixture
def taken() -> socket.socket:
    """An address that nobody else can listen at."""
    return socket.create_server(("127.0.0.1", 0))


@pytest.mark.parametrize(
    "kind", ["missing", "folder", "pipe", "unreadable name", "empty", "text", "unsigned", "changed", "signature"]
)
def test_what_cannot_be_served_is_refused_before_a_socket_is_open(
    iso2: CertificateAuthority, tmp_path: Path, taken: socket.socket, kind: str
) -> None:
    file = tmp_path / "list.ctl"
    signed = signed_list(iso2)
    match kind:
        case "folder":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "unreadable name":
            file = Path("list\0.ctl")
        case "empty":
            file.write_bytes(b"")
        case "text":
            file.write_bytes(b"no list at all\n")
        case "unsigned":
            file.write_bytes(trust_list.write(content_of(iso2)))
        case "changed":
            file.write_bytes(signed.replace(b"Acme", b"Acne"))
        case "signature":
            file.write_bytes(signed[:-1] + bytes([signed[-1] ^ 1]))
    with taken:
        at = "{}:{}".format(*taken.getsockname())
        # The address is taken: who opens sockets first would say that.
        problem = refusal(iso2.home, with_settings(listen=(at,), trust_list=str(file)))
    assert problem.code == "file.unreadable"
    assert problem.facts["key"] == "serve.trust_list"
    assert "list" in problem.message
    assert problem.hint


def test_a_list_that_nobody_serves_is_not_asked_for(iso2: CertificateAuthority, tmp_path: Path) -> None:
    missing = str(tmp_path / "list.ctl")
    with serving(iso2.home, with_settings(parts=("crl",), trust_list=missing)) as server, server.client() as client:
        assert client.get("/healthz").status_code == 200


def test_the_list_is_served_and_read_again(iso2: CertificateAuthority, tmp_path: Path) -> None:
    file = tmp_path / "list.ctl"
    file.write_bytes(signed_list(iso2))
    with Served(iso2, ServeSettings(trust_list=str(file))) as served:
        client = served.client("cpo")
        answered = client.get("/v1/root/ctl")
        assert answered.status_code == 200
        assert base64.b64decode(answered.json()["signedData"]) == file.read_bytes()
        assert answered.json()["CTL"]["number"] == 1
        file.write_bytes(signed_list(iso2, 2))
        os.utime(file, ns=(1, 1))
        assert client.get("/v1/root/ctl").json()["CTL"]["number"] == 2
        # What breaks later is not told to parties, and nothing else stops.
        file.unlink()
        broken = client.get("/v1/root/ctl")
        assert (broken.status_code, broken.json()["errorMessages"]) == (500, ["the service cannot answer now"])
        assert client.get("/v1/root/rootCerts").status_code == 200
        assert served.client("stranger").get("/v1/root/ctl").status_code == 403
        assert served.client().get("/v1/root/ctl").status_code == 401


def test_the_signed_octets_are_told_in_whatever_form_they_stand(iso2: CertificateAuthority, tmp_path: Path) -> None:
    file, signed = tmp_path / "list.ctl", signed_list(iso2)
    document = json.dumps(trust_list.opcp_document(trust_list.read(signed))).encode()
    armoured = b"-----BEGIN CMS-----\n" + base64.encodebytes(signed) + b"-----END CMS-----\n"
    for written in (signed, base64.b64encode(signed), armoured, document):
        file.write_bytes(written)
        with Served(iso2, ServeSettings(trust_list=str(file))) as served:
            answered = served.client("cpo").get("/v1/root/ctl").json()
        assert base64.b64decode(answered["signedData"]) == signed


def test_without_a_list_there_is_none(iso2: CertificateAuthority) -> None:
    with Served(iso2) as served:
        assert served.client("cpo").get("/v1/root/ctl").status_code == 404
