"""The ClientHello reader; octets are written out from RFC 8446 4.1.2 and RFC 6066, one comes from Python's own TLS."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2gpki.errors import V2GPKIError
from v2gpki.servers.v2gtls.hello import ClientHello, HelloReader, TrustedAuthority, read_hello

SUITES = bytes.fromhex("0004 c023 1302")


def vector(size: int, *parts: bytes) -> bytes:
    """A length of ``size`` octets, and what it counts."""
    content = b"".join(parts)
    return len(content).to_bytes(size, "big") + content


def extension(kind: int, content: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(2, content)


def body(*extensions: bytes, legacy: str = "0303") -> bytes:
    """legacy_version, random, session id, suites, compression, extensions."""
    start = bytes.fromhex(legacy) + bytes(32) + b"\x00" + SUITES + b"\x01\x00"
    return start + (vector(2, *extensions) if extensions else b"")


def message(content: bytes) -> bytes:
    return b"\x01" + vector(3, content)


def records(octets: bytes, size: int = 2**14) -> bytes:
    """Handshake records of at most ``size`` octets each."""
    return b"".join(
        b"\x16\x03\x01" + vector(2, octets[start : start + size]) for start in range(0, len(octets), size)
    )


def whole(octets: bytes) -> ClientHello:
    found = HelloReader().feed(octets)
    assert found is not None
    return found


EVERYTHING = body(
    extension(0, vector(2, b"\x00" + vector(2, b"secc.example"))),
    extension(
        3,
        vector(2, b"\x00", b"\x01" + b"K" * 20, b"\x02" + vector(2, bytes.fromhex("3000")), b"\x03" + b"C" * 20),
    ),
    extension(5, bytes.fromhex("01 0000 0000")),
    extension(10, bytes.fromhex("0004 0019 001e")),
    extension(13, bytes.fromhex("0004 0603 0808")),
    extension(17, bytes.fromhex("0007 02 0004 0000 0000")),
    extension(43, bytes.fromhex("04 0304 0303")),
    extension(47, vector(2, vector(2, b"name one"), vector(2, b"name two"))),
    extension(0x1234, b"whatever"),
)


def test_everything_that_matters_is_read() -> None:
    assert whole(records(message(EVERYTHING))) == ClientHello(
        versions=(0x0304, 0x0303),
        suites=(0xC023, 0x1302),
        groups=(25, 30),
        signatures=(0x0603, 0x0808),
        server_name="secc.example",
        trusted_ca_keys=(
            TrustedAuthority("pre_agreed"),
            TrustedAuthority("key_sha1_hash", b"K" * 20),
            TrustedAuthority("x509_name", bytes.fromhex("3000")),
            TrustedAuthority("cert_sha1_hash", b"C" * 20),
        ),
        certificate_authorities=(b"name one", b"name two"),
        status_request=True,
        status_request_v2=True,
        extensions=(0, 3, 5, 10, 13, 17, 43, 47, 0x1234),
    )


def test_a_hello_without_extensions() -> None:
    assert whole(records(message(body()))) == ClientHello(versions=(0x0303,), suites=(0xC023, 0x1302))
    # Without supported_versions nobody can mean more than TLS 1.2, whatever the legacy version says.
    assert whole(records(message(body(legacy="0304")))).versions == (0x0303,)
    assert whole(records(message(body(legacy="0301")))).versions == (0x0301,)


@pytest.mark.parametrize("size", [1, 3, 4, 50, 2**14])
def test_records_and_segments_may_be_cut_anywhere(size: int) -> None:
    octets = records(message(EVERYTHING), size)
    reader = HelloReader()
    for index in range(len(octets) - 1):
        assert reader.feed(octets[index : index + 1]) is None
    assert reader.feed(octets[-1:]) == read_hello(EVERYTHING)
    assert reader.octets == octets


def test_what_follows_the_hello_is_kept() -> None:
    reader = HelloReader()
    octets = records(message(EVERYTHING)) + b"\x14\x03\x03\x00\x01\x01"
    assert reader.feed(octets) is not None
    assert reader.octets == octets


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_pythons_hello(newest: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = newest
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    out = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="secc.example")
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    hello = whole(out.read())
    assert hello.server_name == "secc.example"
    assert 0xC023 in hello.suites
    assert (0x0304 in hello.versions) == (newest is ssl.TLSVersion.TLSv1_3)
    assert 0x0303 in hello.versions
    assert 23 in (hello.groups or ())
    assert 0x0403 in (hello.signatures or ())
    assert not hello.status_request


@pytest.mark.parametrize(
    "octets",
    [
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x80\x2e\x01\x03\x01",
        b"GET / HTTP/1.1\r\n",
        b"\x16\x02\x00\x00\x04",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x40\x01",
        records(b"\x02" + vector(3, EVERYTHING)),
        records(b"\x01\x01\x00\x01" + bytes(60)),
        records(message(EVERYTHING[:-1])),
        records(message(EVERYTHING + b"\x00")),
        records(message(body(extension(43, bytes.fromhex("03 0304 03"))))),
        records(message(body(extension(43, bytes.fromhex("02 0304 00"))))),
        records(message(body(extension(10, bytes.fromhex("0004 0019"))))),
        records(message(body(extension(3, vector(2, b"\x04" + bytes(20)))))),
        records(message(body(extension(3, vector(2, b"\x01" + bytes(19)))))),
        records(message(body(extension(47, vector(2, b"\x00\x09name"))))),
        records(message(body(extension(5, b""), extension(5, b"")))),
        records(message(b"")),
    ],
    ids=lambda octets: octets[:12].hex(),
)
def test_what_is_no_hello_is_refused(octets: bytes) -> None:
    with pytest.raises(V2GPKIError) as caught:
        HelloReader().feed(octets)
    assert caught.value.code == "tls.hello"


def test_an_endless_hello_is_refused_within_the_limit() -> None:
    """64 KB are announced, and come in records of the largest size: the fourth is beyond the limit."""
    reader = HelloReader(limit=50_000)
    octets = records(b"\x01\x00\xc3\x00" + bytes(5 * 2**14))
    size = 2**14 + 5
    for index in range(3):
        assert reader.feed(octets[index * size : (index + 1) * size]) is None
    assert refusal(reader, octets[3 * size : 4 * size]) == "tls.hello"
    assert refusal(HelloReader(limit=49_919), octets[:size]) == "tls.hello"
    # Records of one octet: the limit counts what they are wrapped in, too.
    tiny = records(b"\x01\x00\xc3\x00" + bytes(10_000), 1)
    assert refusal(HelloReader(limit=50_000), tiny[:50_000]) == ""
    assert refusal(HelloReader(limit=50_000), tiny) == "tls.hello"


def refusal(reader: HelloReader, octets: bytes) -> str:
    """The code by which these octets are refused, "" when they are not."""
    try:
        reader.feed(octets)
    except V2GPKIError as problem:
        return problem.code
    return ""


@given(st.data())
def test_no_octets_do_harm(data: st.DataObject) -> None:
    """A hello with some octets changed is read or refused, and nothing else."""
    octets = bytearray(records(message(EVERYTHING)))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(octets)))
    reader = HelloReader()
    assert refusal(reader, bytes(octets[:cut])) or refusal(reader, bytes(octets[cut:])) in ("", "tls.hello")


@given(st.binary(max_size=200))
def test_any_body_is_read_or_refused(octets: bytes) -> None:
    assert refusal(HelloReader(), records(message(octets))) in ("", "tls.hello")
