"""Which edition and which identity answer a ClientHello: [V2G2-871], [V2G2-923], [V2G20-2359], RFC 6066 6."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.servers.v2gtls.bench import Pki
from v2gpki.errors import V2GPKIError
from v2gpki.servers.v2gtls import ClientHello, StationSecurity, TLSIdentity, TrustedAuthority
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
