"""OCSP requests: reading what clients send, octet by octet, and writing them.

Read is the first and only CertID, kept as it was sent so that the answer repeats it, and the nonce. A signature
and the requestor's name are passed over: who asks does not matter. Refused with ``ocsp.malformed_request``: what is
no DER, several CertIDs (one answer is pre-signed for one certificate), hashes whose length is not their algorithm's, a
nonce of no or more than 128 octets, critical extensions. An unknown hash algorithm is read: nobody here answers it.
Sources: RFC 6960 4.1 and 4.4, RFC 5019 2.1.1, RFC 9654 2.1 (nonce).
"""

from __future__ import annotations

from typing import NamedTuple

from v2gpki.certs import der
from v2gpki.certs.der_reading import element, expect
from v2gpki.certs.ocsp import HASH_SIZES, HASHES
from v2gpki.errors import V2GPKIError

#: The longest serial number that is read: RFC 5280 allows 20 octets, others may have issued longer ones.
LONGEST_SERIAL = 64
LONGEST_NONCE = 128
NONCE_OID = der.oid("1.3.6.1.5.5.7.48.1.2")

_HASH_OF_OID = {oid: name for name, oid in HASHES.items()}
_CONTEXT_0, _CONTEXT_1, _CONTEXT_2 = 0xA0, 0xA1, 0xA2
_BOOLEAN = 0x01


class OcspRequest(NamedTuple):
    """What a request asks.

    ``cert_id`` is the CertID as sent (DER), ``hash_name`` hashlib's name of its algorithm ("" when unknown), ``key``
    issuerNameHash and issuerKeyHash in one run, ``nonce`` None when none was sent.
    """

    cert_id: bytes
    hash_name: str
    key: bytes
    serial: int
    nonce: bytes | None = None


def read_request(data: bytes) -> OcspRequest:
    """Read one DER OCSPRequest; anything else raises ``ocsp.malformed_request`` with the reason."""
    try:
        return _read(data)
    except ValueError as problem:
        raise V2GPKIError(
            "ocsp.malformed_request",
            f"the OCSP request of {len(data)} octets cannot be answered: {problem}",
            hint="send one DER OCSPRequest with one CertID",
            clause="RFC 6960 4.1.1",
            facts={"size": len(data)},
        ) from None


def write_request(cert_id: bytes, nonce: bytes | None = None) -> bytes:
    """An OCSPRequest for one DER CertID, with a nonce if given (1 to 128 octets; RFC 9654 asks for 32)."""
    extensions = b""
    if nonce is not None:
        if not 0 < len(nonce) <= LONGEST_NONCE:
            raise ValueError("a nonce has 1 to 128 octets")
        extensions = der.explicit(2, der.sequence(nonce_extension(nonce)))
    return der.sequence(der.sequence(der.sequence(der.sequence(cert_id)), extensions))


def nonce_extension(nonce: bytes) -> bytes:
    """The nonce extension, the same in requests and answers (RFC 9654 2.1)."""
    return der.sequence(NONCE_OID, der.octet_string(der.octet_string(nonce)))


def _read(data: bytes) -> OcspRequest:
    size = len(data)
    start, end = expect(data, 0, size, der.SEQUENCE)
    if end != size:
        raise ValueError(f"{size - end} octets follow it")
    at, tbs_end = expect(data, start, end, der.SEQUENCE)
    if tbs_end != end:
        # optionalSignature: read over, since everybody may ask.
        _, after = expect(data, tbs_end, end, _CONTEXT_0)
        if after != end:
            raise ValueError("octets follow its signature")
    tag, inner, stop = element(data, at, tbs_end)
    if tag == _CONTEXT_0:
        if data[inner:stop] != b"\x02\x01\x00":
            raise ValueError("its version is not 1")
        tag, inner, stop = element(data, stop, tbs_end)
    if tag == _CONTEXT_1:
        tag, inner, stop = element(data, stop, tbs_end)
    if tag != der.SEQUENCE:
        raise ValueError("it has no list of requests")
    asked = _single(data, inner, stop)
    if stop == tbs_end:
        return asked
    inner, after = expect(data, stop, tbs_end, _CONTEXT_2)
    if after != tbs_end:
        raise ValueError("octets follow its extensions")
    return asked._replace(nonce=_nonce(data, *_whole_sequence(data, inner, after)))


def _single(data: bytes, at: int, end: int) -> OcspRequest:
    """The only Request of the list."""
    if at == end:
        raise ValueError("it asks about no certificate")
    start, stop = expect(data, at, end, der.SEQUENCE)
    if stop != end:
        raise ValueError("it asks about several certificates at once; ask one by one")
    content, after = expect(data, start, stop, der.SEQUENCE)
    if after != stop:
        inner, last = expect(data, after, stop, _CONTEXT_0)
        if last != stop:
            raise ValueError("octets follow the extensions of its CertID")
        _check_extensions(data, *_whole_sequence(data, inner, last))
    return _cert_id(data, start, content, after)


def _cert_id(data: bytes, start: int, at: int, end: int) -> OcspRequest:
    algorithm, at = expect(data, at, end, der.SEQUENCE)
    _, after_oid = expect(data, algorithm, at, der.OID)
    if data[after_oid:at] not in (b"", der.NULL):
        raise ValueError("its hash algorithm has parameters")
    name, name_end = expect(data, at, end, der.OCTET_STRING)
    key, key_end = expect(data, name_end, end, der.OCTET_STRING)
    serial, serial_end = expect(data, key_end, end, der.INTEGER)
    if serial_end != end:
        raise ValueError("octets follow the serial number")
    octets = serial_end - serial
    if not 0 < octets <= LONGEST_SERIAL:
        raise ValueError(f"the serial number has {octets} octets")
    if octets > 1 and data[serial] in (0, 0xFF) and (data[serial] ^ data[serial + 1]) < 0x80:
        raise ValueError("the serial number is not in its shortest form")
    hash_name = _HASH_OF_OID.get(data[algorithm:after_oid], "")
    if hash_name and not name_end - name == key_end - key == HASH_SIZES[hash_name]:
        raise ValueError(f"its hashes have another length than {hash_name}")
    return OcspRequest(
        data[start:end],
        hash_name,
        data[name:name_end] + data[key:key_end],
        int.from_bytes(data[serial:serial_end], "big", signed=True),
    )


def _whole_sequence(data: bytes, at: int, end: int) -> tuple[int, int]:
    start, stop = expect(data, at, end, der.SEQUENCE)
    if stop != end:
        raise ValueError("octets follow a list of extensions")
    return start, stop


def _nonce(data: bytes, at: int, end: int) -> bytes | None:
    """The nonce among the request's extensions, None when there is none."""
    found = _check_extensions(data, at, end)
    if found is None:
        return None
    tag, start, stop = element(found, 0, len(found)) if found else (0, 0, 0)
    if tag != der.OCTET_STRING or stop != len(found):
        raise ValueError("its nonce is no OCTET STRING")
    if not 0 < stop - start <= LONGEST_NONCE:
        raise ValueError(f"its nonce has {stop - start} octets, not 1 to {LONGEST_NONCE}")
    return found[start:stop]


def _check_extensions(data: bytes, at: int, end: int) -> bytes | None:
    """Read extensions: the value of the nonce if there is one; a critical one that is not understood is refused."""
    nonce = None
    while at < end:
        inner, at = expect(data, at, end, der.SEQUENCE)
        _, after_oid = expect(data, inner, at, der.OID)
        oid = data[inner:after_oid]
        critical = False
        tag, value, stop = element(data, after_oid, at)
        if tag == _BOOLEAN:
            critical = data[value:stop] != b"\x00"
            tag, value, stop = element(data, stop, at)
        if tag != der.OCTET_STRING or stop != at:
            raise ValueError("an extension has no value")
        if oid == NONCE_OID:
            if nonce is not None:
                raise ValueError("it has two nonces")
            nonce = data[value:stop]
        elif critical:
            raise ValueError("it has a critical extension that is not understood")
    return nonce
