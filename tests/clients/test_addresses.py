"""Addresses that are none: every client says so, whoever gave them. Nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from v2gpki.clients.est import EstClient
from v2gpki.clients.exchange import Exchange
from v2gpki.clients.ocsp import OcspClient
from v2gpki.clients.opcp import OpcpClient
from v2gpki.clients.opnc import OpncClient
from v2gpki.clients.tokens import ClientCredentials
from v2gpki.errors import V2GPKIError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: RFC 3986 3.2: a port is digits, an address in brackets is closed; RFC 1035 2.3.4: a label has 1 to 63 octets.
BAD = {
    "a port that is no number": "http://127.0.0.1:abc/",
    "a port beyond 65535": "http://127.0.0.1:65536/",
    "port 0": "http://127.0.0.1:0/",
    "an open bracket": "http://[::1",
    "a line feed": "http://x\n/",
    "an empty label": "http://a..b/",
    "an empty first label": "https://.b/",
    "a label of 64 octets": f"http://{'a' * 64}.test/",
    "a label of 300 octets": f"http://{'a' * 300}/",
    "no host": "http:///path",
    "another scheme": "ftp://127.0.0.1/",
    "no scheme": "127.0.0.1",
    "a word": "x",
    "a name that IDNA has not": "http://\u2603\u200b..x/",
    "70,000 characters": f"http://127.0.0.1/{'a' * 70_000}",
}
EXCHANGE = Exchange(retries=0)
CALLS: dict[str, tuple[str, Callable[[str], object]]] = {
    "Exchange": ("client.bad_url", lambda url: EXCHANGE.send("GET", url)),
    "EST": ("client.bad_url", lambda url: EstClient(url, EXCHANGE).cacerts()),
    "OPCP": ("client.bad_url", lambda url: OpcpClient(url, EXCHANGE).roots()),
    "OPNC": ("client.bad_url", lambda url: OpncClient(url, EXCHANGE).roots()),
    "tokens, form": ("client.bad_url", lambda url: ClientCredentials(url, "me", "s", exchange=EXCHANGE).token()),
    "tokens, JSON": (
        "client.bad_url",
        lambda url: ClientCredentials(url, "me", "s", form=False, exchange=EXCHANGE).token(),
    ),
    "OCSP": ("ocsp.no_responder", lambda url: OcspClient(retries=0).ask(url, b"0")),
    "OCSP by GET": ("ocsp.no_responder", lambda url: OcspClient(retries=0).ask(url, b"0", method="GET")),
}


@pytest.mark.parametrize("url", BAD.values(), ids=BAD)
@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_address(call: str, url: str) -> None:
    code, ask = CALLS[call]
    with pytest.raises(V2GPKIError) as caught:
        ask(url)
    problem = caught.value
    assert problem.code == code
    assert problem.hint
    assert ascii(url[:30])[1:-1] in problem.message
    assert "the caller" in problem.message
    assert len(problem.message) < 300


def test_a_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(V2GPKIError) as caught:
        EXCHANGE.send("GET", "http://me:secret@a..b/path?x=1")
    assert "//a..b/path" in caught.value.message
    assert "secret" not in caught.value.message + str(caught.value.facts)


def test_a_password_in_an_address_does_not_travel_unprotected() -> None:
    with pytest.raises(V2GPKIError) as caught:
        EXCHANGE.send("GET", "http://me:secret@provider.test/path")
    assert caught.value.code == "client.plain_credentials"
    assert "secret" not in caught.value.message + str(caught.value.facts)


def minted(url: str) -> tuple[bytes, bytes]:
    """A certificate whose AIA has this address, and its issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("a stranger", "its CA")]
    place = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))

    def made(subject: x509.Name, *extensions: x509.ExtensionType) -> bytes:
        builder = (
            x509.CertificateBuilder(subject_name=subject, issuer_name=names[1], public_key=key.public_key())
            .serial_number(7)
            .not_valid_before(NOW - timedelta(days=1))
            .not_valid_after(NOW + timedelta(days=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    issuer = made(names[1], x509.BasicConstraints(ca=True, path_length=None))
    return made(names[0], x509.AuthorityInformationAccess([place])), issuer


@pytest.mark.parametrize("url", [url for url in BAD.values() if url.isascii()])
def test_the_address_in_a_foreign_certificate(url: str) -> None:
    with OcspClient(retries=0) as client, pytest.raises(V2GPKIError) as caught:
        client.query(*minted(url), at=NOW)
    assert caught.value.code == "ocsp.no_responder"
    assert "a stranger (AIA)" in caught.value.message
    assert "AIA" in str(caught.value.facts["source"])


def test_the_address_in_hash_data() -> None:
    data = {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": "00" * 32,
        "issuerKeyHash": "11" * 32,
        "serialNumber": "7",
        "responderURL": "http://a..b/",
    }
    with OcspClient(retries=0) as client, pytest.raises(V2GPKIError) as caught:
        client.certificate_status(data)
    assert caught.value.code == "ocsp.no_responder"
    assert "responderURL" in caught.value.message
