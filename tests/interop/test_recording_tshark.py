"""TShark reads the sessions that we record: checksums, streams, no complaint; and decrypts TLS with the key log."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from v2gpki.v2gtp import PayloadType, build
from v2gpki.v2gtp.packets import Endpoints
from v2gpki.v2gtp.recording import Side, TCPRecording, datagram, head

pytestmark = pytest.mark.interop("tshark")

CAR = Endpoints("fe80::1", 50000, "fe80::2", 61341)
LOOPBACK = Endpoints("127.0.0.1", 50000, "127.0.0.1", 61341)
CHECKED = [f"-o{layer}.check_checksum:TRUE" for layer in ("tcp", "udp", "ip")]
FIELDS = (
    *("tcp.checksum.status", "udp.checksum.status", "ip.checksum.status", "frame.time_epoch"),
    *("_ws.malformed", "tcp.analysis.flags", "tcp.connection.fin"),
)
SIDES: tuple[Side, Side] = ("client", "server")
BEGUN = 1_780_000_000.25
REQUEST, RESPONSE = build(PayloadType.EXI, b"\x80\x01" * 40), build(PayloadType.EXI, bytes(range(256)) * 20)


def tshark(file: Path, *arguments: str) -> str:
    ran = subprocess.run(
        ["tshark", "-n", "-r", str(file), *CHECKED, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=file.parent,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def followed(file: Path, protocol: str, *arguments: str) -> dict[str, bytes]:
    """What each side of the first stream sent; which of them TShark calls the first is its own matter."""
    lines = tshark(file, *arguments, "-q", f"-zfollow,{protocol},raw,0").splitlines()
    first = next((line for line in lines if line.startswith("Node 0:")), "")
    order: tuple[Side, Side] = ("client", "server") if first.endswith(f":{CAR.source_port}") else ("server", "client")
    sides = {"client": b"", "server": b""}
    for line in lines:
        if re.fullmatch(r"\t?[0-9a-f]+", line):
            sides[order[line.startswith("\t")]] += bytes.fromhex(line)
    return sides


@pytest.mark.parametrize("endpoints", [CAR, LOOPBACK])
def test_every_packet_is_right(endpoints: Endpoints, tmp_path: Path) -> None:
    recording = TCPRecording(endpoints, first=(2**32 - 50, 7))
    large = build(PayloadType.ISO20_COMMON, bytes(300_001))
    file = tmp_path / "session.pcapng"
    file.write_bytes(
        head()
        + datagram(BEGUN, endpoints, build(PayloadType.SDP_REQUEST, b"\x10\x00"))
        + recording.opened(BEGUN)
        + recording.carried(BEGUN + 1, "client", REQUEST)
        + recording.carried(BEGUN + 2, "server", RESPONSE)
        + recording.carried(BEGUN + 3, "client", large)
        + recording.finished(BEGUN + 4, "client")
        + recording.finished(BEGUN + 4, "server")
    )
    packets = json.loads(tshark(file, "-Tjson", *(f"-e{name}" for name in FIELDS)))
    layers = [packet["_source"]["layers"] for packet in packets]
    for packet in layers:
        assert packet.get("tcp.checksum.status", packet.get("udp.checksum.status")) == ["1"], packet
        assert packet.get("ip.checksum.status", ["1"]) == ["1"]
        assert not {"_ws.malformed", "tcp.analysis.flags"} & packet.keys(), packet
    assert float(layers[0]["frame.time_epoch"][0]) == BEGUN
    assert sum("tcp.connection.fin" in packet for packet in layers) == 2
    assert followed(file, "tcp") == {"client": REQUEST + large, "server": RESPONSE}
    # TCP of which begin and end were seen whole: SYN, SYN-ACK, ACK, data and FIN.
    assert max(map(int, tshark(file, "-Ytcp", "-Tfields", "-etcp.completeness").split())) == 31


def test_it_would_notice_a_wrong_checksum(tmp_path: Path) -> None:
    good = head() + datagram(BEGUN, CAR, b"abcd")
    file = tmp_path / "bad.pcapng"
    file.write_bytes(good.replace(b"abcd", b"abce"))
    assert tshark(file, "-Tfields", "-eudp.checksum.status").split() == ["0"]


class Peer(NamedTuple):
    """One end of TLS in memory, and what it has for the wire."""

    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_is_decrypted_with_the_key_log(version: ssl.TLSVersion, tmp_path: Path) -> None:
    recording, keys = TCPRecording(CAR), tmp_path / "keys.log"
    packets = [head(), recording.opened(BEGUN)]
    peers = {side: peer(version, tmp_path, keys, server=side == "server") for side in SIDES}

    def carry(side: Side) -> None:
        if data := peers[side].outgoing.read():
            packets.append(recording.carried(BEGUN, side, data))
            peers["server" if side == "client" else "client"].incoming.write(data)

    for _ in range(3):
        for side in SIDES:
            with suppress(ssl.SSLWantReadError):
                peers[side].tls.do_handshake()
            carry(side)
    for side, message in (("client", REQUEST), ("server", RESPONSE)):
        peers[side].tls.write(message)
        carry(side)
    file = tmp_path / "session.pcapng"
    file.write_bytes(b"".join([*packets, recording.finished(BEGUN, "client"), recording.finished(BEGUN, "server")]))
    assert REQUEST not in file.read_bytes()
    port = "-dtcp.port==61341,tls"
    assert followed(file, "tls", port, f"-otls.keylog_file:{keys}") == {"client": REQUEST, "server": RESPONSE}
    assert followed(file, "tls", port) == {"client": b"", "server": b""}


def peer(version: ssl.TLSVersion, folder: Path, keys: Path, *, server: bool) -> Peer:
    """A side that keeps its keys in the log (one side's are enough)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = version
    if server:
        context.load_cert_chain(certificate(folder))
        context.keylog_filename = str(keys)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if version == ssl.TLSVersion.TLSv1_2:
            context.set_ciphers("ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    return Peer(context.wrap_bio(incoming, outgoing, server_side=server), incoming, outgoing)


def certificate(folder: Path) -> Path:
    """A certificate with its key, for this test only."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "s")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1)).sign(
        key, hashes.SHA256()
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file
