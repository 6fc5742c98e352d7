"""The client's trust list: fetched from our own pools, from a file's octets, and from providers that misbehave."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from tests.conftest import BIRTH
from tests.servers.http.pool_client import Served
from tests.servers.test_trust_list_setting import content_of, signed_list
from v2gpki import CertificateAuthority, V2GPKIError
from v2gpki.certs.trust_list import SignedTrustList
from v2gpki.clients.exchange import Exchange
from v2gpki.clients.opcp import OpcpClient
from v2gpki.clients.tokens import FixedToken
from v2gpki.wiring.serve_settings import ServeSettings


def answering(content: bytes, status: int = 200) -> OpcpClient:
    def provider(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("GET", "/v1/root/ctl")
        return httpx.Response(status, content=content)

    return OpcpClient("https://provider.test", Exchange(transport=httpx.MockTransport(provider)))


def refused(call: Callable[[], SignedTrustList]) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as found:
        call()
    return found.value


@pytest.fixture
def signer(iso2: CertificateAuthority) -> bytes:
    return iso2.authority("iso2-v2g-root").der


@pytest.fixture
def answer(iso2: CertificateAuthority, tmp_path: Path) -> bytes:
    """The whole answer of our own pools."""
    file = tmp_path / "list.ctl"
    file.write_bytes(signed_list(iso2))
    with Served(iso2, ServeSettings(trust_list=str(file))) as served:
        return served.client("cpo").get("/v1/root/ctl").content


def test_the_list_of_our_own_pools(iso2: CertificateAuthority, tmp_path: Path, signer: bytes) -> None:
    file = tmp_path / "list.ctl"
    file.write_bytes(signed_list(iso2))
    with Served(iso2, ServeSettings(trust_list=str(file))) as served:
        exchange = Exchange(tokens=FixedToken("cpo"), transport=served.bridge)
        with OpcpClient("https://pools.test/", exchange) as client:
            listed = client.trust_list(at=BIRTH, signers=[signer])
            assert listed.content == content_of(iso2)
            assert listed.octets == file.read_bytes()
            colons = sha256(signer).digest().hex(":").upper()
            assert client.trust_list(at=BIRTH, fingerprint=colons).content == listed.content


def test_an_answer_that_is_the_signed_octets_themselves(iso2: CertificateAuthority, signer: bytes) -> None:
    """OPCP's description leaves open whether it is an object or a DER-encoded byte array."""
    client = answering(signed_list(iso2))
    assert client.trust_list(at=BIRTH, signers=[signer]).content == content_of(iso2)


def test_nobody_is_believed_who_was_not_named(iso2: CertificateAuthority, answer: bytes) -> None:
    client = answering(answer)
    other = iso2.authority("iso2-mo-root").der
    for named in ({}, {"signers": [other]}, {"fingerprint": sha256(other).hexdigest()}):
        problem = refused(lambda named=named: client.trust_list(at=BIRTH, **named))  # type: ignore[misc]  # bound now
        assert problem.code == "trust_list.unknown_signer"


@pytest.mark.parametrize(("days", "code"), [(30, "trust_list.over"), (31, "trust_list.over")])
def test_a_list_that_does_not_hold_any_more(answer: bytes, signer: bytes, days: int, code: str) -> None:
    at = BIRTH + timedelta(days=days)
    assert answering(answer).trust_list(at=BIRTH, signers=[signer]).content.number == 1
    assert refused(lambda: answering(answer).trust_list(at=at, signers=[signer])).code == code


def test_a_list_that_is_shown_and_was_not_signed(answer: bytes, signer: bytes) -> None:
    document = json.loads(answer)
    document["CTL"]["number"] = 99
    shown = json.dumps(document).encode()
    assert refused(lambda: answering(shown).trust_list(at=BIRTH, signers=[signer])).code == "trust_list.malformed"
    del document["signedData"]
    bare = json.dumps(document).encode()
    assert refused(lambda: answering(bare).trust_list(at=BIRTH, signers=[signer])).code == "trust_list.unsigned"


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"{", b"<html>", b"\x30\x03\x02\x01\x01", b"\xff" * 100])
def test_what_is_no_list(content: bytes, signer: bytes) -> None:
    code = refused(lambda: answering(content).trust_list(at=BIRTH, signers=[signer])).code
    assert code.partition(".")[0] in ("cms", "trust_list")


def test_refusals_of_the_provider(iso2: CertificateAuthority, signer: bytes) -> None:
    said = json.dumps({"errorMessages": ["no list here"], "traceId": "7"}).encode()
    problem = refused(lambda: answering(said, 404).trust_list(at=BIRTH, signers=[signer]))
    assert (problem.code, problem.facts["status"]) == ("client.refused", 404)
    assert "no list here" in problem.message
    with Served(iso2) as served:
        client = OpcpClient("https://pools.test", Exchange(tokens=FixedToken("stranger"), transport=served.bridge))
        assert refused(lambda: client.trust_list(at=BIRTH, signers=[signer])).code in (
            "client.refused", "client.unauthorised",
        )  # fmt: skip
