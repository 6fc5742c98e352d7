"""A ClientHello written octet by octet, and the server's answer read as far as it is plain: no TLS library between.

So any version, suite and group can be asked for, also those that no library speaks any more. In TLS 1.2 the answer
holds chain, staple and group in plain text; in TLS 1.3 a client that shows no key share is told suite and group by
HelloRetryRequest. Nothing is computed with what comes, nothing is trusted; what is no TLS ends in ``probe.no_tls``.
Sources: RFC 5246 7.4, RFC 8446 4.1, RFC 6066 8, RFC 8422 5.4.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from v2gpki.errors import V2GPKIError
from v2gpki.servers.v2gtls import alerts

TLS_1_2, TLS_1_3 = 0x0303, 0x0304
_ALERT, _HANDSHAKE = 21, 22
_SERVER_HELLO, _CERTIFICATE, _KEY_EXCHANGE, _ASKS, _DONE, _STATUS = 2, 11, 12, 13, 14, 22
_STATUS_REQUEST, _GROUPS, _POINTS, _SIGNATURES, _VERSIONS, _MODES, _KEY_SHARE = 5, 10, 11, 13, 43, 45, 51
#: RFC 8446 4.1.3: the random of a ServerHello that is a HelloRetryRequest.
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
#: What stands for an alert where none came.
CLOSED = "closed without an alert"
_LIMIT = 256 * 1024
_RECORD_LIMIT = 2**14 + 2048


@dataclass(frozen=True, slots=True)
class Question:
    """What a ClientHello offers; numbers as IANA has them. ``version`` is the only one offered."""

    version: int
    suites: tuple[int, ...]
    groups: tuple[int, ...]
    signatures: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server chose. ``chain`` (DER, leaf first), ``staple`` and ``asks_certificate`` are seen up to TLS 1.2
    only; ``group`` 0 is not known. ``alert`` is the refusal, "" for none; everything else is empty then."""

    alert: str = ""
    version: int = 0
    suite: int = 0
    group: int = 0
    chain: tuple[bytes, ...] = ()
    staple: bytes | None = None
    asks_certificate: bool = False


def client_hello(question: Question, random: bytes) -> bytes:
    """The record of a ClientHello; ``random`` has 32 octets."""
    modern = question.version >= TLS_1_3
    extensions = [
        (_GROUPS, _list16(question.groups)),
        (_POINTS, b"\x01\x00"),
        (_SIGNATURES, _list16(question.signatures)),
        # OCSP, no responders named, no extensions.
        (_STATUS_REQUEST, b"\x01\0\0\0\0"),
    ]
    if modern:
        # An empty list of key shares asks for the server's choice of a group (RFC 8446 4.2.8).
        extensions += [(_VERSIONS, b"\x02\x03\x04"), (_KEY_SHARE, b"\0\0"), (_MODES, b"\x01\x01")]
    coded = b"".join(struct.pack(">HH", kind, len(content)) + content for kind, content in extensions)
    body = struct.pack(">H", min(question.version, TLS_1_2)) + random + b"\0" + _list16(question.suites) + b"\x01\0"
    body += struct.pack(">H", len(coded)) + coded
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return struct.pack(">BHH", _HANDSHAKE, 0x0301, len(message)) + message


class AnswerReader:
    """Takes octets in any cut until the answer is known as far as it will be; raises ``probe.no_tls``."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._messages = bytearray()
        self._found: dict[int, bytes] = {}

    def feed(self, data: bytes) -> Answer | None:
        """The answer, None while more has to come."""
        self._octets += data
        if len(self._octets) > _LIMIT:
            raise no_tls(f"more than {_LIMIT} octets without an answer")
        while (record := self._record()) is not None:
            kind, content = record
            if kind == _ALERT:
                if len(content) != 2:
                    raise no_tls("an alert that has not two octets")
                return Answer(alert=alerts.name(content[1]))
            if kind != _HANDSHAKE:
                # TLS 1.3 is encrypted from here on (change_cipher_spec, application data).
                return self._answer()
            self._messages += content
            if self._whole():
                return self._answer()
        return None

    def finish(self) -> Answer:
        """The server has closed: what is known, raises ``probe.no_tls`` for nothing at all."""
        if _SERVER_HELLO in self._found:
            return self._answer()
        if self._octets:
            raise no_tls("the connection was closed within its answer")
        return Answer(alert=CLOSED)

    def _record(self) -> tuple[int, bytes] | None:
        octets = self._octets
        if octets and (octets[0] not in range(20, 24) or (len(octets) > 1 and octets[1] != 3)):
            raise no_tls(f"it answers with {bytes(octets[:8]).hex()}")
        if len(octets) < 5:
            return None
        size = int.from_bytes(octets[3:5], "big")
        if size > _RECORD_LIMIT:
            raise no_tls(f"a record of {size} octets")
        if len(octets) < 5 + size:
            return None
        content = bytes(octets[5 : 5 + size])
        kind = octets[0]
        del octets[: 5 + size]
        return kind, content

    def _whole(self) -> bool:
        """Keep the messages that are complete; True when no more plain ones will come."""
        messages = self._messages
        while len(messages) >= 4:
            size = int.from_bytes(messages[1:4], "big")
            if len(messages) < 4 + size:
                return False
            self._found.setdefault(messages[0], bytes(messages[4 : 4 + size]))
            kind = messages[0]
            del messages[: 4 + size]
            if kind == _DONE or (kind == _SERVER_HELLO and self._answer().version >= TLS_1_3):
                return True
        return False

    def _answer(self) -> Answer:
        if _SERVER_HELLO not in self._found:
            raise no_tls("it does not begin with a ServerHello")
        try:
            version, suite, group = _server_hello(self._found[_SERVER_HELLO])
            return Answer(
                "",
                version,
                suite,
                group or _exchange_group(self._found.get(_KEY_EXCHANGE, b"")),
                _chain(self._found.get(_CERTIFICATE, b"")),
                _staple(self._found.get(_STATUS, b"")),
                _ASKS in self._found,
            )
        except (IndexError, struct.error, ValueError) as problem:
            raise no_tls(f"a handshake message that cannot be read ({problem})") from None


def _server_hello(body: bytes) -> tuple[int, int, int]:
    """Version, suite and group (0: not said here)."""
    version, random = struct.unpack_from(">H32s", body)
    at = 34 + 1 + body[34]
    (suite,) = struct.unpack_from(">H", body, at)
    at += 3
    group = 0
    extensions = _vector(body, at, 2) if at < len(body) else b""
    for kind, content in _extensions(extensions):
        if kind == _VERSIONS:
            (version,) = struct.unpack_from(">H", content)
        elif kind == _KEY_SHARE:
            (group,) = struct.unpack_from(">H", content)
    if random == _RETRY and version < TLS_1_3:
        raise ValueError("a HelloRetryRequest before TLS 1.3")
    return version, suite, group


def _extensions(data: bytes) -> Sequence[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data):
        (kind,) = struct.unpack_from(">H", data, at)
        content = _vector(data, at + 2, 2)
        found.append((kind, content))
        at += 4 + len(content)
    return found


def _exchange_group(body: bytes) -> int:
    """The named curve of a ServerKeyExchange, 0 for none (static ECDH, RSA)."""
    return int.from_bytes(body[1:3], "big") if body[:1] == b"\x03" else 0


def _chain(body: bytes) -> tuple[bytes, ...]:
    if not body:
        return ()
    listed = _vector(body, 0, 3)
    found: list[bytes] = []
    at = 0
    while at < len(listed):
        certificate = _vector(listed, at, 3)
        found.append(certificate)
        at += 3 + len(certificate)
    return tuple(found)


def _staple(body: bytes) -> bytes | None:
    return _vector(body, 1, 3) if body[:1] == b"\x01" else None


def _vector(data: bytes, at: int, size: int) -> bytes:
    """What follows a length of ``size`` octets; raises ValueError when it is not all there."""
    length = int.from_bytes(data[at : at + size], "big")
    content = data[at + size : at + size + length]
    if at + size > len(data) or len(content) != length:
        raise ValueError("a length beyond the end")
    return content


def _list16(numbers: Sequence[int]) -> bytes:
    coded = b"".join(struct.pack(">H", number) for number in numbers)
    return struct.pack(">H", len(coded)) + coded


def no_tls(what: str) -> V2GPKIError:
    """The refusal of an answer that is none of TLS."""
    return V2GPKIError(
        "probe.no_tls",
        f"the other end does not speak TLS: {what}",
        hint="a station without TLS is asked with --plain",
        clause="RFC 8446 5.1",
    )
