"""The ClientHello, read before TLS begins: what it offers decides edition, context and chain.

Reads records and the hello in them, however they are cut, and of its extensions those that matter here. Trusts nothing:
every length is checked against what is there, the whole is bounded, an extension that comes twice is refused. All
refusals are ``tls.hello``. Sources: RFC 5246 7.4.1.2, RFC 8446 4.1.2 and 5.1, RFC 6066 3, 6 and 8, RFC 6961.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from v2gpki.errors import FactValue, V2GPKIError

HANDSHAKE = 0x16
_CLIENT_HELLO = 1
_RECORD_HEADER, _MESSAGE_HEADER = 5, 4
_RECORD_LIMIT = 2**14
_TLS_1_2 = 0x0303

_SERVER_NAME, _TRUSTED_CA_KEYS, _STATUS_REQUEST, _GROUPS, _SIGNATURES = 0, 3, 5, 10, 13
_STATUS_REQUEST_V2, _SUPPORTED_VERSIONS, _CERTIFICATE_AUTHORITIES = 17, 43, 47

IdentifierType = Literal["pre_agreed", "key_sha1_hash", "x509_name", "cert_sha1_hash"]
_IDENTIFIER_TYPES: tuple[IdentifierType, ...] = ("pre_agreed", "key_sha1_hash", "x509_name", "cert_sha1_hash")
_SHA1_SIZE = 20


@dataclass(frozen=True, slots=True)
class TrustedAuthority:
    """One entry of trusted_ca_keys: a SHA-1 digest, a DER name, or nothing (``pre_agreed``)."""

    kind: IdentifierType
    value: bytes = b""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client offers. Numbers are those of IANA's TLS registries, in the client's order.

    ``versions`` is supported_versions, without it the legacy version. ``extensions`` are the types of all extensions.
    None of ``groups`` and ``signatures`` tells that the extension was not there. ``certificate_authorities`` are DER
    names. ``status_request_v2`` is RFC 6961, which ISO 15118-2 names.
    """

    versions: tuple[int, ...]
    suites: tuple[int, ...]
    groups: tuple[int, ...] | None = None
    signatures: tuple[int, ...] | None = None
    server_name: str = ""
    trusted_ca_keys: tuple[TrustedAuthority, ...] = ()
    certificate_authorities: tuple[bytes, ...] = ()
    status_request: bool = False
    status_request_v2: bool = False
    extensions: tuple[int, ...] = ()


class HelloReader:
    """Takes the first octets of a connection in any cut, until the ClientHello is whole.

    ``octets`` are all that was fed: TLS is given them again.
    """

    def __init__(self, *, limit: int = 65_536) -> None:
        self.limit = limit
        self._octets = bytearray()
        self._message = bytearray()
        self._next = 0

    @property
    def octets(self) -> bytes:
        """Everything that was fed."""
        return bytes(self._octets)

    def feed(self, data: bytes) -> ClientHello | None:
        """The hello once it is there; raises ``tls.hello`` as soon as it can be none."""
        self._octets += data
        while (size := self._record()) is not None:
            start = self._next + _RECORD_HEADER
            self._message += self._octets[start : start + size]
            self._next = start + size
            if (found := self._whole()) is not None:
                return found
        if len(self._octets) > self.limit:
            raise _refusal(f"no ClientHello within {self.limit} octets", limit=self.limit)
        return None

    def _record(self) -> int | None:
        """The size of the next record's content, None while it is not whole."""
        header = self._octets[self._next : self._next + _RECORD_HEADER]
        if header and header[0] != HANDSHAKE:
            raise _refusal(f"a TLS record of type {header[0]}, not a handshake (22)", type=header[0])
        if len(header) > 1 and header[1] != 3:
            raise _refusal(f"a TLS record of version {header[1]}.x", version=header[1])
        if len(header) < _RECORD_HEADER:
            return None
        size = int.from_bytes(header[3:5], "big")
        if not 0 < size <= _RECORD_LIMIT:
            raise _refusal(f"a TLS record of {size} octets", size=size)
        return size if len(self._octets) >= self._next + _RECORD_HEADER + size else None

    def _whole(self) -> ClientHello | None:
        message = self._message
        if message[0] != _CLIENT_HELLO:
            raise _refusal(f"a handshake message of type {message[0]}, not a ClientHello (1)", type=message[0])
        if len(message) < _MESSAGE_HEADER:
            return None
        size = int.from_bytes(message[1:4], "big")
        if size > self.limit:
            raise _refusal(f"a ClientHello of {size} octets; at most {self.limit} are read", size=size)
        if len(message) < _MESSAGE_HEADER + size:
            return None
        return read_hello(bytes(message[_MESSAGE_HEADER : _MESSAGE_HEADER + size]))


def read_hello(body: bytes) -> ClientHello:
    """The ClientHello whose body (without the header of the handshake message) this is; raises ``tls.hello``."""
    reader = _Octets(body, "ClientHello")
    legacy = reader.number(2)
    reader.take(32)
    reader.vector(1)
    suites = reader.vector(2).numbers(2)
    reader.vector(1)
    extensions: dict[int, _Octets] = {}
    if reader.left:
        block = reader.vector(2)
        reader.end()
        while block.left:
            kind = block.number(2)
            if kind in extensions:
                raise _refusal(f"the extension {kind} comes twice", extension=kind)
            extensions[kind] = block.vector(2, f"extension {kind}")
    return _offer(legacy, suites, extensions)


def _offer(legacy: int, suites: tuple[int, ...], extensions: dict[int, _Octets]) -> ClientHello:
    def within(kind: int, size: int) -> _Octets | None:
        """The list that an extension consists of."""
        if kind not in extensions:
            return None
        content = extensions[kind].vector(size)
        extensions[kind].end()
        return content

    versions = within(_SUPPORTED_VERSIONS, 1)
    groups = within(_GROUPS, 2)
    signatures = within(_SIGNATURES, 2)
    authorities = within(_CERTIFICATE_AUTHORITIES, 2)
    trusted = within(_TRUSTED_CA_KEYS, 2)
    names = within(_SERVER_NAME, 2)
    return ClientHello(
        versions=versions.numbers(2) if versions else (min(legacy, _TLS_1_2),),
        suites=suites,
        groups=groups.numbers(2) if groups else None,
        signatures=signatures.numbers(2) if signatures else None,
        server_name=_server_name(names) if names else "",
        trusted_ca_keys=_trusted(trusted) if trusted else (),
        certificate_authorities=_names(authorities) if authorities else (),
        status_request=_STATUS_REQUEST in extensions,
        status_request_v2=_STATUS_REQUEST_V2 in extensions,
        extensions=tuple(extensions),
    )


def _trusted(entries: _Octets) -> tuple[TrustedAuthority, ...]:
    found = []
    while entries.left:
        kind = entries.number(1)
        if kind >= len(_IDENTIFIER_TYPES):
            raise _refusal(f"trusted_ca_keys has an identifier of type {kind}", identifier=kind)
        name = _IDENTIFIER_TYPES[kind]
        if name == "pre_agreed":
            found.append(TrustedAuthority(name))
        elif name == "x509_name":
            found.append(TrustedAuthority(name, entries.vector(2).rest()))
        else:
            found.append(TrustedAuthority(name, entries.take(_SHA1_SIZE)))
    return tuple(found)


def _names(entries: _Octets) -> tuple[bytes, ...]:
    found = []
    while entries.left:
        found.append(entries.vector(2).rest())
    return tuple(found)


def _server_name(entries: _Octets) -> str:
    """The first host name; others are passed over."""
    found = ""
    while entries.left:
        kind, value = entries.number(1), entries.vector(2).rest()
        if kind == 0 and not found:
            found = value.decode("ascii", "backslashreplace")
    return found


class _Octets:
    """A cursor over octets that never reads beyond them."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise _refusal(f"{self._what} ends {size - self.left} octets too early", what=self._what)
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int, what: str = "") -> _Octets:
        """What follows a length of ``size`` octets."""
        return _Octets(self.take(self.number(size)), what or self._what)

    def numbers(self, size: int) -> tuple[int, ...]:
        if self.left % size:
            raise _refusal(f"{self._what} has half a number in a list", what=self._what)
        return tuple(self.number(size) for _ in range(self.left // size))

    def rest(self) -> bytes:
        return self.take(self.left)

    def end(self) -> None:
        if self.left:
            raise _refusal(f"{self._what} has {self.left} octets too many", what=self._what)


def _refusal(flaw: str, **facts: FactValue) -> V2GPKIError:
    message = f"the first octets are no ClientHello: {flaw}"
    return V2GPKIError("tls.hello", message, clause="RFC 8446 4.1.2", facts=facts)
