"""Discovery by multicast on an interface of its own, and EcoG's reading of the same datagrams."""

from __future__ import annotations

import json
import subprocess
import sys
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from tests.interop.ecog.network import INTERFACE, private_network
from tests.interop.needs import Needs
from v2gpki.sdp import Request, Response, Security, read_request, read_response, request, response

#: Runs in the namespace: a station and a vehicle of ours on one interface, by multicast.
_BOTH = f"""
import asyncio, json
from v2gpki.sdp import Request, Response
from v2gpki.servers.discovery import discover, local_address, serve_discovery

async def run():
    here = local_address("{INTERFACE}")
    server = await serve_discovery("{INTERFACE}", lambda asked, peer: Response(here, 50_000))
    found = await discover("{INTERFACE}", Request())
    server.close()
    print(json.dumps([*found.address, found.peer, len(found.attempts), found.seconds, server.where]))

asyncio.run(run())
"""

#: Runs in EcoG's environment: its classes write and read what is given in hexadecimal.
_ECOG = """
import ipaddress, json, sys
from iso15118.shared.messages.sdp import SDPRequest, SDPResponse, Security, Transport
from iso15118.shared.messages.enums import Protocol
from iso15118.shared.messages.v2gtp import V2GTPMessage
from iso15118.shared.messages.enums import ISOV2PayloadTypes

def framed(kind, payload):
    return V2GTPMessage(Protocol.UNKNOWN, kind, payload).to_bytes().hex()

asked = [SDPRequest(one, Transport.TCP) for one in (Security.TLS, Security.NO_TLS)]
station = ipaddress.IPv6Address("fe80::15:118").packed
answered = SDPResponse(ip_address=station, port=61341, security=Security.TLS, transport_protocol=Transport.TCP)
ours = [bytes.fromhex(text) for text in sys.argv[1:]]
read = SDPRequest.from_payload(V2GTPMessage.from_bytes(Protocol.UNKNOWN, ours[0]).payload)
heard = SDPResponse.from_payload(V2GTPMessage.from_bytes(Protocol.UNKNOWN, ours[1]).payload)
print(json.dumps({
    "requests": [framed(ISOV2PayloadTypes.SDP_REQUEST, one.to_payload()) for one in asked],
    "response": framed(ISOV2PayloadTypes.SDP_RESPONSE, answered.to_payload()),
    "read": read.security.name,
    "heard": [str(heard.ip_address), heard.port, heard.security.name],
}))
"""


@pytest.mark.interop("ip", "unshare")
def test_a_vehicle_finds_a_station_by_multicast(tmp_path: Path) -> None:
    with private_network(tmp_path) as network:
        done = subprocess.run(
            network.inside([sys.executable, "-c", _BOTH]), capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    host, port, peer, attempts, seconds, where = json.loads(done.stdout)
    assert (host, port) == (f"fe80::15:118%{INTERFACE}", 50_000)
    assert peer.startswith("[fe80::15:118")
    assert peer.endswith(":15118")
    assert where.startswith("[ff02::1%")
    assert attempts == 1
    assert seconds < 0.25


@pytest.mark.interop("ecog")
def test_ecog_writes_and_reads_the_same_datagrams() -> None:
    ours = [request(Request(Security.NONE)), response(Response(IPv6Address("fe80::15:118"), 61341))]
    python = Needs().environment("ecog") / "bin" / "python"
    done = subprocess.run(
        [str(python), "-c", _ECOG, *(octets.hex() for octets in ours)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert [read_request(bytes.fromhex(text)).security for text in said["requests"]] == [Security.TLS, Security.NONE]
    assert said["requests"] == [request(Request(one)).hex() for one in (Security.TLS, Security.NONE)]
    assert said["response"] == ours[1].hex()
    assert read_response(bytes.fromhex(said["response"])).port == 61341
    assert said["read"] == "NO_TLS"
    assert said["heard"][1:] == [61341, "TLS"]
