"""Which edition and which identity answer a ClientHello: [V2G2-871], [V2G2-923], [V2G20-2359], RFC 6066 6."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL

from tests.servers.v2gtls.bench import QUICK, Pki
from v2gpki.errors import V2GPKIError
from v2gpki.servers.v2gtls import ClientHello, StationSecurity, TLSIdentity, TrustedAuthority, accept, bindings
from v2gpki.servers.v2gtls.choice import choose

#: What the editions prescribe: facts in ISO 15118-2 7.7.3 and [V2G20-1634], [V2G20-1856].
HELLO2 = ClientHello(versions=(0x0303,), suites=(0xC023, 0xC025), groups=(23,), signatures=(0x0403,))
HELLO20 = ClientHello(versions=(0x0304,), suites=(0x1302, 0x1303), groups=(25, 30), signatures=(0x0603, 0x0808))
BOTH = ClientHello(
    versions=(0x0304, 0x0303), suites=(0x1302, 0xC023), groups=(25, 23), signatures=(0x0603, 0x0403)
)


@pytest.fixture(scope="module")
def mine(pki: Pki) -> TLSIdentity:
    return pki.identity("secc", "iso15118-2")


@pytest.fixture(scope="module")
def theirs(stranger: Pki) -> TLSIdentity:
    return stranger.identity("secc", "iso15118-2")


@pytest.fixture(scope="module")
def station(pki: Pki, mine: TLSIdentity, theirs: TLSIdentity) -> StationSecurity:
    """Two V2G roots in -2, two families in -20."""
    return pki.station(
        ("iso15118-2", mine),
        ("iso15118-2", theirs),
        ("iso15118-20", pki.identity("secc", "iso15118-20", "p521")),
        ("iso15118-20", pki.identity("secc", "iso15118-20", "ed448")),
        ("lab-ecog-20", pki.identity("secc", "lab-ecog-20")),
    )


def names(root: bytes | None) -> list[TrustedAuthority]:
    """The three ways to name a root, as RFC 6066 6 describes them."""
    assert root is not None
    certificate = x509.load_der_x509_certificate(root)
    point = certificate.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return [
        TrustedAuthority("key_sha1_hash", hashlib.sha1(point).digest()),
        TrustedAuthority("x509_name", certificate.subject.public_bytes()),
        TrustedAuthority("cert_sha1_hash", hashlib.sha1(root).digest()),
    ]


def test_the_edition_follows_from_the_offer(station: StationSecurity) -> None:
    assert choose(HELLO2, station).edition == "iso15118-2"
    assert choose(HELLO20, station).edition == "iso15118-20"
    assert choose(BOTH, station).edition == "iso15118-20"
    ecog = replace(HELLO20, groups=(23,), signatures=(0x0403,))
    assert choose(ecog, station).edition == "lab-ecog-20"


@pytest.mark.parametrize(
    "change",
    [
        {"suites": (0x1301, 0xC023)},
        {"groups": (29, 23)},
        {"signatures": (0x0403, 0x0804)},
        {"versions": (0x0303,)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_less_than_iso20_is_answered_with_iso2(
    pki: Pki, station: StationSecurity, change: dict[str, tuple[int, ...]]
) -> None:
    without_lab = StationSecurity(station.identities, station.judge_vehicle, editions=("iso15118-2", "iso15118-20"))
    assert choose(BOTH, without_lab).edition == "iso15118-20"
    assert choose(replace(BOTH, **change), without_lab).edition == "iso15118-2"


def test_the_key_is_one_that_the_client_can_check(station: StationSecurity) -> None:
    identities = station.identities["iso15118-20"]
    assert choose(HELLO20, station).identity is identities[0]
    assert choose(replace(HELLO20, signatures=(0x0808,)), station).identity is identities[1]


@pytest.mark.parametrize("way", [0, 1, 2])
def test_a_root_that_the_vehicle_names_decides(
    station: StationSecurity, mine: TLSIdentity, theirs: TLSIdentity, way: int
) -> None:
    if way != 1:
        # Both PKIs have the same names: a name cannot tell them apart.
        assert choose(replace(HELLO2, trusted_ca_keys=(names(theirs.root)[way],)), station).identity is theirs
    found = choose(replace(HELLO2, trusted_ca_keys=(names(mine.root)[way],)), station)
    assert (found.identity, found.named) == (mine, True)


def test_the_first_identity_is_for_roots_that_nobody_has(station: StationSecurity, mine: TLSIdentity) -> None:
    """[V2G2-923]."""
    unknown = (TrustedAuthority("cert_sha1_hash", bytes(20)), TrustedAuthority("pre_agreed"))
    found = choose(replace(HELLO2, trusted_ca_keys=unknown), station)
    assert (found.identity, found.named) == (mine, False)
    assert not choose(HELLO2, station).named


def test_certificate_authorities_are_names(pki: Pki, station: StationSecurity) -> None:
    """[V2G20-2379]; the names of both families differ."""
    ed448 = station.identities["iso15118-20"][1]
    assert ed448.root is not None
    name = x509.load_der_x509_certificate(ed448.root).subject.public_bytes()
    found = choose(replace(HELLO20, certificate_authorities=(name,)), station)
    assert (found.identity, found.named) == (ed448, True)


@pytest.mark.parametrize(
    ("hello", "alert"),
    [
        (replace(HELLO20, suites=(0x1301,)), "handshake_failure"),
        (replace(HELLO20, groups=(29,)), "handshake_failure"),
        (replace(HELLO2, suites=(0xC02B,)), "handshake_failure"),
        (replace(HELLO2, versions=(0x0301,)), "protocol_version"),
    ],
)
def test_nothing_in_common_is_refused(station: StationSecurity, hello: ClientHello, alert: str) -> None:
    with pytest.raises(V2GPKIError) as caught:
        choose(hello, station)
    assert (caught.value.code, caught.value.facts["alert"]) == ("tls.no_common", alert)


def test_an_edition_that_is_left_out_is_not_chosen(station: StationSecurity) -> None:
    only = StationSecurity(station.identities, station.judge_vehicle, editions=("iso15118-2",))
    assert choose(BOTH, only).edition == "iso15118-2"
    with pytest.raises(V2GPKIError) as caught:
        choose(HELLO20, only)
    assert caught.value.facts["alert"] == "protocol_version"


@pytest.mark.parametrize("ours", [True, False])
def test_naming_a_root_is_acknowledged_if_it_was_of_use(pki: Pki, mine: TLSIdentity, ours: bool) -> None:
    """RFC 6066 6: an empty trusted_ca_keys in the ServerHello says that the client's roots guided the choice."""
    station = pki.station(("iso15118-2", mine))
    assert mine.root is not None
    # pre_agreed, and one digest of a certificate.
    content = bytes.fromhex("0016 00 03") + hashlib.sha1(mine.root if ours else b"").digest()
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(b"ECDHE-ECDSA-AES128-SHA256")
    kept = bindings.announce_roots(context, content)
    client = SSL.Connection(context, None)
    client.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        client.do_handshake()
    answered = asyncio.run(_first_answer(station, client.bio_read(65_536)))
    assert (3 in server_extensions(answered)) is ours
    assert kept


async def _first_answer(station: StationSecurity, hello: bytes) -> bytes:
    """What a station sends first after this hello."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(V2GPKIError):
            await accept(reader, writer, station, limits=QUICK)

    async with await asyncio.start_server(serve, "::1", 0) as server:
        reader, writer = await asyncio.open_connection("::1", server.sockets[0].getsockname()[1])
        writer.write(hello)
        answered = await reader.readexactly(5)
        answered += await reader.readexactly(int.from_bytes(answered[3:], "big"))
        writer.close()
        await writer.wait_closed()
    return answered


def server_extensions(record: bytes) -> dict[int, bytes]:
    """The extensions of the ServerHello in a record (RFC 5246 7.4.1.3)."""
    assert record[5] == 2
    at = 5 + 4 + 2 + 32
    at += 1 + record[at] + 2 + 1
    end = at + 2 + int.from_bytes(record[at : at + 2], "big")
    found, at = {}, at + 2
    while at < end:
        size = int.from_bytes(record[at + 2 : at + 4], "big")
        found[int.from_bytes(record[at : at + 2], "big")] = record[at + 4 : at + 4 + size]
        at += 4 + size
    return found
