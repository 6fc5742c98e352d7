"""``v2gpki exi`` as a person uses it; expected messages are vectors of the reference implementation."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.cli.test_core import process
from tests.messages.comparison import tree
from tests.v2gtp.test_capture import ethernet, ipv6, pcap, tcp, udp
from tests.vectors import SCHEMAS, Vector, selection
from v2gpki.v2gtp import build

PAYLOADS = {
    "app": 0x8001,
    "iso15118-2": 0x8001,
    "iso15118-20-common": 0x8002,
    "ac": 0x8003,
    "dc": 0x8004,
    "acdp": 0x8005,
    "wpt": 0x8006,
}


def vector(schema: str, kind: str = "document") -> Vector:
    """A short vector without a second coding."""
    kinds = {"min", "dsig"} if kind == "document" else {one["kind"] for one in selection(schema)}
    fitting = [
        one for one in selection(schema) if one["mode"] == kind and one["kind"] in kinds and "exi_alt" not in one
    ]
    return min(fitting, key=lambda one: (len(one["exi"]), one["id"]))


def run(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    done = process("exi", *arguments, stdin=stdin)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("schema", PAYLOADS)
def test_a_message_of_unknown_schema_is_shown(schema: str) -> None:
    one = vector(schema)
    code, out, err = run("decode", "--hex", build(PAYLOADS[schema], bytes.fromhex(one["exi"])).hex())
    assert code == 0, err
    assert f"schema {schema} " in err
    assert tree(stripped(out)) == tree(one["xml"])
    if schema == "acdp":
        # 14 octets that CommonMessages reads too: only the payload type can tell.
        assert "also reads as acdp" in run("decode", "--hex", one["exi"])[2]
    else:
        assert run("decode", "--hex", one["exi"])[1] == out


def stripped(xml: str) -> str:
    """Without the line breaks that were put in to be read."""
    return "".join(line.strip() for line in xml.splitlines())


def test_every_form_of_input_is_the_same_message(tmp_path: Path) -> None:
    one = vector("iso15118-2")
    exi = bytes.fromhex(one["exi"])
    frame = build(0x8001, exi)
    spaced = " ".join(f"0x{octet:02X}" for octet in exi)
    expected = run("decode", "--hex", one["exi"])[1]
    for data in (
        exi,
        one["exi"].encode(),
        spaced.encode() + b"\n",
        base64.b64encode(exi),
        base64.encodebytes(exi),
        frame,
        frame.hex().encode(),
        pcap([ethernet(ipv6(tcp(frame, 1)))]),
    ):
        assert run("decode", "-", stdin=data)[:2] == (0, expected), data[:20]
    file = tmp_path / "input"
    file.write_bytes(exi)
    assert run("decode", str(file))[:2] == (0, expected)
    assert run("decode", stdin=exi)[:2] == (0, expected)


def test_a_captured_session_is_shown_in_order() -> None:
    frames = [build(PAYLOADS[schema], bytes.fromhex(vector(schema)["exi"])) for schema in PAYLOADS]
    packets = [ethernet(ipv6(udp(build(0x9000, b"\x10\x00")), 17))]
    sequence = 1
    for frame in frames:
        packets.append(ethernet(ipv6(tcp(frame, sequence))))
        sequence += len(frame)
    code, out, err = run("decode", "--json", "--format", "json", "-", stdin=pcap(packets))
    assert code == 1, err
    value = json.loads(out)
    assert value["schema"] == "v2gpki/exi/1"
    sdp, *others = value["messages"]
    assert sdp["error"]["code"] == "messages.unknown_payload"
    assert sdp["exi"] == "1000"
    assert [one["exi_schema"] for one in others] == list(PAYLOADS)
    assert [one["payload_type"] for one in others] == [f"{payload:#06x}" for payload in PAYLOADS.values()]
    assert [next(iter(one["message"])) for one in others] == [
        vector(schema)["root"].partition("}")[2] for schema in PAYLOADS
    ]
    assert others[0]["time"] == "1970-01-01T00:16:41.500000Z"
    assert others[0]["from"] == "[fe80::1]:50000 -> [fe80::2]:61341"
    # Without the datagram everything can be read, and the exit code says so.
    code, out, _ = run("decode", "-", stdin=pcap(packets[1:]))
    assert code == 0
    assert out.count("<!-- ") == len(PAYLOADS)


@pytest.mark.parametrize(("schema", "form"), list(zip(SCHEMAS, ["xml", "json"] * 4, strict=True)))
def test_what_is_decoded_is_encoded_again(schema: str, form: str) -> None:
    one = vector(schema)
    code, out, err = run("decode", "--schema", schema, "--format", form, "--hex", one["exi"])
    assert code == 0, err
    code, out, err = run("encode", "--schema", schema, "-", stdin=out.encode())
    assert (code, out.strip()) == (0, one["exi"]), err


@pytest.mark.parametrize("schema", ["app", "iso15118-2", "iso15118-20-common", "ac", "dc", "wpt", "acdp", "xmldsig"])
def test_the_schema_of_xml_is_found_out(schema: str) -> None:
    one = vector(schema)
    assert run("encode", "-", stdin=one["xml"].encode())[:2] == (0, one["exi"] + "\n")


def test_fragments_both_ways() -> None:
    for schema in ("iso15118-2", "iso15118-20-common", "xmldsig"):
        one = vector(schema, "fragment")
        code, out, err = run("decode", "--fragment", "--schema", schema, "--hex", one["exi"])
        assert code == 0, err
        assert "fragment" in err
        code, out, err = run("encode", "--fragment", "--schema", schema, stdin=out.encode())
        assert (code, out.strip()) == (0, one["exi"]), err


def test_octets_are_written_to_a_file_and_never_over_one(tmp_path: Path) -> None:
    one = vector("dc")
    target = tmp_path / "frame.bin"
    code, _, _ = run("encode", "--v2gtp", "-o", str(target), stdin=one["xml"].encode())
    assert code == 0
    assert target.read_bytes() == build(0x8004, bytes.fromhex(one["exi"]))
    code, _, err = run("encode", "-o", str(target), stdin=one["xml"].encode())
    assert code == 1
    assert "file.exists" in err
    done = process("exi", "encode", "-o", "-", stdin=one["xml"].encode())
    assert done.stdout == bytes.fromhex(one["exi"])


#: EXIficient's coding of an attribute that ISO 15118-2 does not have, and its trace (see tests/exi/test_interpret.py).
DEVIATION = "809802388c3a8c5bc58c0a919b104666f6f0562617200000"


def test_deviations_are_refused_or_read_and_listed() -> None:
    code, out, err = run("decode", "--hex", DEVIATION)
    assert (code, out) == (1, "")
    assert "V2G_Message/Body/ServiceDetailReq/@foo" in err
    code, out, err = run("decode", "--tolerant", "--hex", DEVIATION)
    assert code == 1
    assert "<b:ServiceID>0</b:ServiceID>" in out
    assert "exi.undeclared" in err
    code, out, _ = run("decode", "--tolerant", "--json", "--hex", DEVIATION)
    (one,) = json.loads(out)["messages"]
    assert one["findings"][0]["where"] == "V2G_Message/Body/ServiceDetailReq/@foo"


def test_a_trace_for_people_and_for_programs() -> None:
    code, out, _ = run("trace", "--hex", DEVIATION)
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == "schema iso15118-2"
    assert "     8  1001100       SE     V2G_Message {urn:iso:15118:2:2013:MsgDef}" in lines
    assert any(line.startswith("   100  1 011") and "foo" in line and "bar" in line for line in lines)
    assert any("!" in line and "exi.undeclared" in line for line in lines)
    code, out, _ = run("trace", "--json", "--hex", DEVIATION)
    (one,) = json.loads(out)["messages"]
    events = [event for event in one["events"] if event["event"] == "AT"]
    assert events[0]["codes"] == [{"bit": 100, "width": 1, "value": 1}, {"bit": 101, "width": 3, "value": 3}]
    assert run("trace", "--hex", vector("app")["exi"])[0] == 0


def test_a_trace_goes_up_to_the_fault() -> None:
    code, out, _ = run("trace", "--schema", "iso15118-2", "--hex", DEVIATION[:24])
    assert code == 1
    assert "SessionID" in out
    assert "exi.truncated" in out


def test_foreign_text_cannot_command_the_terminal() -> None:
    # supportedAppProtocolReq whose namespace is ESC [ 2 J: root 0, AppProtocol, ProtocolNamespace, CH, length 4 + 2.
    text = "\x1b[2J"
    bits = "10000000" + "00" + "0" + "0" + "0" + f"{len(text) + 2:08b}" + "".join(f"{ord(one):08b}" for one in text)
    bits += "0" * 8 * 8
    shift = -len(bits) % 8
    data = (int(bits, 2) << shift).to_bytes((len(bits) + shift) // 8, "big")
    _, out, err = run("trace", "--schema", "app", "--hex", data.hex())
    assert "\x1b" not in out + err
    assert "\\x1b[2J" in out


@pytest.mark.parametrize(
    ("stdin", "code"),
    [
        (b"", "exi.input"),
        (b"hello world", "exi.input"),
        (b"<V2G_Message/>", "exi.input"),
        (b"\x01\xfe\x80\x01\x00\x00\x00\x09\x80", "v2gtp.truncated"),
        (b"\x01\xfe\x80\x01\xff\xff\xff\xff\x80", "v2gtp.length"),
        (b"\x80" + bytes(40), "messages.unrecognised"),
        (bytes.fromhex("809a021050908c0c0c0c0c51d80b80"), "messages.unrecognised"),
        (pcap([]), "exi.input"),
    ],
)
def test_what_cannot_be_read_is_refused(stdin: bytes, code: str) -> None:
    status, out, err = run("decode", "-", stdin=stdin)
    assert (status, out) == (1, "")
    assert f"code: {code}" in err


def test_usage() -> None:
    assert run("decode", "--hex", "80", "file")[0] == 2
    assert run("decode", "--hex", "8")[0] == 1
    assert run("decode", "--schema", "din", "--hex", "80")[0] == 2
    status, _, err = run("encode", stdin=b"<a/>")
    assert (status, "messages.not_a_root" in err) == (1, True)
    status, _, err = run("encode", stdin=b"")
    assert status == 1
