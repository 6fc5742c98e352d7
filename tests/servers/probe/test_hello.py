"""Our ClientHello, read by the station's own reader; answers of a TLS library, and of nobody in particular."""

from __future__ import annotations

from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from tests.servers.v2gtls.bench import Pki
from v2gpki.errors import V2GPKIError
from v2gpki.servers.probe.hello import Answer, AnswerReader, Question, client_hello
from v2gpki.servers.probe.names import GROUPS, SIGNATURES, SUITES_12, SUITES_13
from v2gpki.servers.v2gtls import HelloReader, TLSIdentity

RANDOM = bytes(range(32))
TWELVE = Question(0x0303, (0xC023, 0xC02B), (25, 23), (0x0403,))
THIRTEEN = Question(0x0304, (0x1303, 0x1302), (30, 25), (0x0603, 0x0808, 0x0403))


@pytest.mark.parametrize("question", [TWELVE, THIRTEEN])
def test_another_reader_finds_what_was_offered(question: Question) -> None:
    hello = HelloReader().feed(client_hello(question, RANDOM))
    assert hello is not None
    assert (hello.versions, hello.suites) == ((question.version,), question.suites)
    assert (hello.groups, hello.signatures) == (question.groups, question.signatures)
    assert hello.status_request


@pytest.fixture(scope="module")
def secc(pki: Pki) -> TLSIdentity:
    return pki.identity("secc", "iso15118-2")


def server(secc: TLSIdentity, suites: bytes, *, asks: bool = False, stapled: bool = False) -> SSL.Connection:
    """A server of OpenSSL's, in memory."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    leaf, *above = (x509.load_der_x509_certificate(der) for der in secc.chain)
    context.use_certificate(leaf)
    for one in above:
        context.add_extra_chain_cert(one)
    assert isinstance(secc.private_key, ec.EllipticCurvePrivateKey)
    context.use_privatekey(secc.private_key)
    context.set_cipher_list(suites)
    if asks:
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    if stapled:
        context.set_ocsp_server_callback(lambda *_: secc.staple() or b"")
    connection = SSL.Connection(context, None)
    connection.set_accept_state()
    return connection


def answered(question: Question, connection: SSL.Connection, *, piece: int = 100_000) -> Answer | None:
    connection.bio_write(client_hello(question, RANDOM))
    with suppress(SSL.Error):
        connection.do_handshake()
    data = connection.bio_read(100_000)
    reader, answer = AnswerReader(), None
    for start in range(0, len(data), piece):
        answer = answer or reader.feed(data[start : start + piece])
    return answer


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_the_answer_in_tls_1_2(secc: TLSIdentity, piece: int) -> None:
    connection = server(secc, b"ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0", asks=True, stapled=True)
    answer = answered(TWELVE, connection, piece=piece)
    # The server prefers among the client's groups the client's first.
    assert answer == Answer("", 0x0303, 0xC023, 25, secc.chain, secc.staple(), asks_certificate=True)


def test_without_staple_and_without_client_certificate(secc: TLSIdentity) -> None:
    answer = answered(TWELVE, server(secc, b"ECDHE-ECDSA-AES128-GCM-SHA256"))
    assert answer == Answer("", 0x0303, 0xC02B, 25, secc.chain, None, asks_certificate=False)


def test_the_answer_in_tls_1_3_is_a_retry_with_suite_and_group(secc: TLSIdentity) -> None:
    assert answered(THIRTEEN, server(secc, b"ALL")) == Answer("", 0x0304, 0x1303, 30)


def test_a_refusal_has_its_alert(secc: TLSIdentity) -> None:
    answer = answered(Question(0x0303, (0xC025,), (23,), (0x0403,)), server(secc, b"ECDHE-ECDSA-AES128-GCM-SHA256"))
    assert answer == Answer(alert="handshake_failure")


def refusal(data: bytes, *, end: bool = False) -> str:
    reader = AnswerReader()
    with pytest.raises(V2GPKIError) as refused:
        _ = reader.feed(data), end and reader.finish()
    assert refused.value.code == "probe.no_tls"
    return refused.value.message


def test_what_is_no_tls() -> None:
    assert "485454502f312e31" in refusal(b"HTTP/1.1 400 Bad Request\r\n")
    assert "01fe8001" in refusal(b"\x01\xfe\x80\x01\0\0\0\x02\x80\x01")
    assert "a record of 65535 octets" in refusal(b"\x16\x03\x03\xff\xff")
    assert "closed within" in refusal(b"\x16\x03\x03", end=True)
    assert "does not begin with a ServerHello" in refusal(b"\x17\x03\x03\0\x01x")
    assert "cannot be read" in refusal(b"\x16\x03\x03\0\x0a\x02\0\0\x02\x03\x03\x0e\0\0\0")


def test_closing_at_once_is_a_refusal() -> None:
    assert AnswerReader().finish().alert == "closed without an alert"


@given(st.binary(max_size=300))
def test_any_octets_give_an_answer_or_a_refusal(data: bytes) -> None:
    for octets in (data, b"\x16\x03\x03" + len(data).to_bytes(2, "big") + data):
        reader = AnswerReader()
        with suppress(V2GPKIError):
            reader.feed(octets)
            reader.finish()


@given(st.integers(0, 2**32))
def test_a_damaged_answer_ends_in_a_refusal(secc: TLSIdentity, seed: int) -> None:
    connection = server(secc, b"ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0", asks=True)
    connection.bio_write(client_hello(TWELVE, RANDOM))
    with suppress(SSL.WantReadError):
        connection.do_handshake()
    data = bytearray(connection.bio_read(100_000))
    data[seed % len(data)] ^= 1 + seed % 255
    with suppress(V2GPKIError):
        AnswerReader().feed(bytes(data))


def test_names_are_openssls(secc: TLSIdentity) -> None:
    """Of the numbers that OpenSSL knows: what it negotiates has the name that we give it."""
    for suite in (0xC023, 0xC02B, 0xC02C, 0xC009, 0xCCA9):
        connection = server(secc, b"ALL:@SECLEVEL=0")
        answer = answered(Question(0x0303, (suite,), (23,), (0x0403, 0x0203)), connection)
        assert answer is not None
        assert answer.suite == suite
    assert len({*SUITES_12.values(), *SUITES_13.values()}) == len(SUITES_12) + len(SUITES_13)
    assert len(set(GROUPS.values())) == len(GROUPS)
    assert len(set(SIGNATURES.values())) == len(SIGNATURES)
