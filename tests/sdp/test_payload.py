"""SDP datagrams; expected octets are written out from the tables of ISO 15118-2 7.10.1."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2gpki.errors import V2GPKIError
from v2gpki.sdp import Request, Response, Security, Transport, read_request, read_response, request, response

#: version, inverse, type 0x9000, 2 octets; security, transport.
ASKED_TLS = bytes.fromhex("01fe 9000 00000002 00 00")
ASKED_PLAIN = bytes.fromhex("01fe 9000 00000002 10 00")
#: type 0x9001, 20 octets; fe80::15:118, port 49152, security, transport.
ANSWERED = bytes.fromhex("01fe 9001 00000014 fe800000000000000000000000150118 c000 00 00")
STATION = IPv6Address("fe80::15:118")


def test_a_request_is_written_and_read() -> None:
    assert request(Request()) == ASKED_TLS
    assert request(Request(Security.NONE)) == ASKED_PLAIN
    assert read_request(ASKED_TLS) == Request(Security.TLS, Transport.TCP)
    assert read_request(ASKED_PLAIN) == Request(Security.NONE, Transport.TCP)
    assert read_request(bytes.fromhex("01fe9000000000020010")).transport is Transport.UDP


def test_a_response_is_written_and_read() -> None:
    assert response(Response(STATION, 49152)) == ANSWERED
    assert read_response(ANSWERED) == Response(STATION, 49152, Security.TLS, Transport.TCP)
    plain = ANSWERED[:-2] + bytes.fromhex("1000")
    assert read_response(plain) == Response(STATION, 49152, Security.NONE)
    assert response(Response(STATION, 49152, Security.NONE)) == plain


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        ("01fe 9000 00000001 00", "sdp.length"),
        ("01fe 9000 00000003 000000", "sdp.length"),
        ("01fe 9000 00000002 01 00", "sdp.security"),
        ("01fe 9000 00000002 00 11", "sdp.transport"),
        ("01fe 9001 00000002 00 00", "sdp.type"),
        ("01fe 9002 00000002 00 00", "sdp.type"),
        ("01fe 8001 00000002 00 00", "sdp.type"),
        ("01fe 9000 00000002 00", "v2gtp.truncated"),
        ("01fe 9000 00000002 00 00 00", "v2gtp.trailing"),
        ("01fe 9000 000001f9 00", "v2gtp.length"),
        ("16fe 9000 00000002 00 00", "v2gtp.version"),
        ("", "v2gtp.truncated"),
    ],
)
def test_what_is_no_request_is_refused(octets: str, code: str) -> None:
    with pytest.raises(V2GPKIError) as refusal:
        read_request(bytes.fromhex(octets))
    assert refusal.value.code == code


def test_the_wireless_request_is_refused_by_name() -> None:
    with pytest.raises(V2GPKIError) as refusal:
        read_request(bytes.fromhex("01fe900200000020") + bytes(32))
    assert "wireless" in refusal.value.message
    assert "WLAN" in refusal.value.hint


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("fe80 0000 0000 0000 0000 0000 0015 0118 0000 00 00", "sdp.address"),
        ("0000 0000 0000 0000 0000 0000 0000 0000 c000 00 00", "sdp.address"),
        ("ff02 0000 0000 0000 0000 0000 0000 0001 c000 00 00", "sdp.address"),
        ("fe80 0000 0000 0000 0000 0000 0015 0118 c000 20 00", "sdp.security"),
        ("fe80 0000 0000 0000 0000 0000 0015 0118 c000 00 01", "sdp.transport"),
        ("fe80 0000 0000 0000 0000 0000 0015 0118 c000 00", "sdp.length"),
    ],
)
def test_what_no_vehicle_can_follow_is_refused(payload: str, code: str) -> None:
    octets = bytes.fromhex(payload)
    with pytest.raises(V2GPKIError) as refusal:
        read_response(bytes.fromhex("01fe9001") + len(octets).to_bytes(4, "big") + octets)
    assert refusal.value.code == code


@pytest.mark.parametrize(("address", "port"), [("::", 49152), ("ff02::1", 49152), ("fe80::1", 0), ("fe80::1", 65536)])
def test_a_station_names_no_such_address(address: str, port: int) -> None:
    with pytest.raises(V2GPKIError) as refusal:
        response(Response(IPv6Address(address), port))
    assert refusal.value.code == "sdp.address"


@given(st.binary(max_size=40))
def test_any_datagram_is_read_or_refused(datagram: bytes) -> None:
    for read, write in ((read_request, request), (read_response, response)):
        try:
            value = read(datagram)
        except V2GPKIError:
            continue
        assert write(value) == datagram  # type: ignore[operator]  # each pair fits
