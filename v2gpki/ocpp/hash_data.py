"""OCSP request data as OCPP and the stacks around it write it: which certificate, by the hashes of its issuer.

OCPP says: SHA256, SHA384 or SHA512, hashes and serial in hex, the serial without leading zeros. EVerest writes lower
case; MaEVe reads any case; EcoG writes URL-safe base64, a decimal serial, snake_case names, the certificate's own
hash algorithm, and the root too. All of these are read; base64 hashes mean a decimal serial, and a JSON number is one
whatever the hashes are. SHA-1 is refused: OCPP has no name for it. Sources: OCPP 2.0.1 OCSPRequestDataType,
CertificateHashDataType; RFC 6960 4.1.1.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

from v2gpki.certs import chain as chains
from v2gpki.certs import der
from v2gpki.certs.ocsp import HASH_SIZES, IssuerName, cert_id_start
from v2gpki.certs.view import CertificateView, flaw_of_signature, view
from v2gpki.errors import V2GPKIError

Encoding = Literal["ocpp", "everest", "maeve", "ecog"]
#: The names that OCPP has for hash algorithms.
ALGORITHMS: Mapping[str, str] = {"SHA256": "sha256", "SHA384": "sha384", "SHA512": "sha512"}

_SNAKE = {
    "hashAlgorithm": "hash_algorithm",
    "issuerNameHash": "issuer_name_hash",
    "issuerKeyHash": "issuer_key_hash",
    "serialNumber": "serial_number",
    "responderURL": "responder_url",
}
_HEX = re.compile(r"[0-9A-Fa-f]+")
_LONGEST_SERIAL = 64


@dataclass(frozen=True, slots=True)
class HashData:
    """One OCSPRequestDataType as values: ``hash_name`` is hashlib's, ``responder_url`` "" when none is given."""

    hash_name: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int
    responder_url: str = ""

    @property
    def cert_id(self) -> bytes:
        """The DER CertID that says the same."""
        start = cert_id_start(self.hash_name, self.issuer_name_hash + self.issuer_key_hash)
        return der.sequence(start, der.integer(self.serial))

    def written(self, encoding: Encoding = "ocpp") -> dict[str, str]:
        """As a JSON object in the encoding of OCPP (EVerest and MaEVe write the same) or of EcoG."""
        algorithm = self.hash_name.upper()
        if encoding == "ecog":
            name, key = (
                base64.urlsafe_b64encode(octets).decode("ascii")
                for octets in (self.issuer_name_hash, self.issuer_key_hash)
            )
            values = (algorithm, name, key, str(self.serial), self.responder_url)
            return dict(zip(_SNAKE.values(), values, strict=True))
        hashes = self.issuer_name_hash.hex(), self.issuer_key_hash.hex()
        values = (algorithm, *hashes, f"{self.serial:x}", self.responder_url)
        return dict(zip(_SNAKE, values, strict=True))


def hash_data(
    chain: Sequence[bytes],
    *,
    anchors: Sequence[bytes] = (),
    algorithm: str = "",
    encoding: Encoding = "ocpp",
    responder_url: str = "",
) -> list[dict[str, str]]:
    """The OCSP request data of a chain: leaf, Sub-CA 2, Sub-CA 1, as JSON objects.

    ``chain`` holds DER certificates in any order, the root among them or in ``anchors``: the hashes of Sub-CA 1 need
    its key. ``algorithm`` is SHA256 (default), SHA384 or SHA512; with ``ecog`` the default is each certificate's own.
    A certificate without an OCSP address (AIA) takes ``responder_url``, or is left out when there is none; ``ecog``
    lists the root as well, when it is there. Raises ``ocsp.issuer_missing``, ``ocsp.bad_hash_data``, ``chain.*``.
    """
    found = entries(chain, anchors=anchors, algorithm=algorithm, own_algorithm=encoding == "ecog")
    answers = []
    for certificate, entry in found:
        if certificate.self_issued and encoding != "ecog":
            continue
        url = entry.responder_url or responder_url
        if url:
            answers.append({**entry.written(encoding), _url_key(encoding): url})
    return answers


def entries(
    chain: Sequence[bytes], *, anchors: Sequence[bytes] = (), algorithm: str = "", own_algorithm: bool = False
) -> list[tuple[CertificateView, HashData]]:
    """Each certificate of a chain with its hash data, leaf first, self-signed ones last; see ``hash_data``.

    Several leaves below one CA (the one in use, and the one that follows) may stand in one chain.
    """
    result = []
    for certificate, issuer in pairs(chain, anchors):
        hash_name = _own_hash(certificate) if own_algorithm and not algorithm else _hash_name(algorithm or "SHA256")
        name = IssuerName(issuer.subject, issuer.spki)
        hashes = name.name_hash(hash_name), name.key_hash(hash_name)
        entry = HashData(hash_name, *hashes, certificate.serial, ocsp_url(certificate.der))
        result.append((certificate, entry))
    return result


def pairs(chain: Sequence[bytes], anchors: Sequence[bytes] = ()) -> list[tuple[CertificateView, CertificateView]]:
    """Each certificate of a chain with its issuer, which is itself for a root; order and refusals as ``entries``."""
    wanted = [view(one) for one in dict.fromkeys(chain)]
    known = [*wanted, *(view(one) for one in anchors)]
    heights = {one.fingerprint: _height(one, wanted) for one in wanted}
    wanted.sort(key=lambda one: heights[one.fingerprint])
    return [(one, one if one.self_issued else _issuer(one, known)) for one in wanted]


def read_hash_data(data: Mapping[str, object]) -> HashData:
    """OCSPRequestDataType or CertificateHashDataType, in OCPP's or EcoG's names and any encoding that stacks use.

    Raises ``ocsp.bad_hash_data`` with the field's name.
    """
    values = {camel: data.get(camel, data.get(snake, "")) for camel, snake in _SNAKE.items()}
    texts = {field: str(value).strip() for field, value in values.items()}
    hash_name = _hash_name(texts["hashAlgorithm"].upper().replace("-", ""))
    name, _ = _hash(texts["issuerNameHash"], "issuerNameHash", hash_name)
    key, hexadecimal = _hash(texts["issuerKeyHash"], "issuerKeyHash", hash_name)
    hexadecimal = hexadecimal and not isinstance(values["serialNumber"], int)
    serial = _serial(texts["serialNumber"], hexadecimal=hexadecimal)
    return HashData(hash_name, name, key, serial, texts["responderURL"])


def ocsp_url(certificate: bytes) -> str:
    """The first OCSP address in a certificate's AuthorityInfoAccess, "" when it has none."""
    extensions = view(certificate).x509.extensions
    try:
        access = extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_INFORMATION_ACCESS).value
    except x509.ExtensionNotFound:
        return ""
    for description in access if isinstance(access, x509.AuthorityInformationAccess) else ():
        location = description.access_location
        if description.access_method == AuthorityInformationAccessOID.OCSP and isinstance(
            location, x509.UniformResourceIdentifier
        ):
            return location.value
    return ""


def _height(certificate: CertificateView, others: Sequence[CertificateView]) -> int:
    """How many certificates of the chain stand below this one: 0 for a leaf; the self-signed last."""
    if certificate.self_issued:
        return len(others) + 1
    below = [other for other in others if chains.issues(certificate, other)]
    return 1 + max((_height(other, others) for other in below), default=-1)


def _issuer(certificate: CertificateView, known: Sequence[CertificateView]) -> CertificateView:
    for candidate in known:
        if chains.issues(candidate, certificate):
            return candidate
    missing = f"the issuer of {certificate.subject_text} is not among the certificates given"
    # One of that name is there: why it is not the one that is wanted.
    flaws = [flaw_of_signature(certificate.der, one.der) for one in known if one.named_by(certificate)]
    raise V2GPKIError(
        "ocsp.issuer_missing",
        f"{missing}, but one of its name: {flaws[0]}" if flaws else f"{missing}: {certificate.issuer_text}",
        hint="add it to the chain, or give the root as an anchor",
        clause="RFC 6960 4.1.1",
        facts={"subject": certificate.subject_text, "issuer": certificate.issuer_text},
    )


def _own_hash(certificate: CertificateView) -> str:
    digest = certificate.x509.signature_hash_algorithm
    # Ed448 names no hash of its own.
    return digest.name if digest is not None and digest.name in ALGORITHMS.values() else "sha256"


def _hash_name(algorithm: str) -> str:
    if algorithm not in ALGORITHMS:
        raise _bad("hashAlgorithm", f"{algorithm!r} is none of {', '.join(ALGORITHMS)}")
    return ALGORITHMS[algorithm]


def _hash(text: str, field: str, hash_name: str) -> tuple[bytes, bool]:
    """(octets, whether they were written in hex)."""
    size = HASH_SIZES[hash_name]
    if len(text) == 2 * size and _HEX.fullmatch(text):
        return bytes.fromhex(text), True
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        octets = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if len(octets) != size:
        raise _bad(field, f"{text[:140]!r} is no {hash_name} value, neither in hex nor in base64")
    return octets, False


def _serial(text: str, *, hexadecimal: bool) -> int:
    bare = text.lower().removeprefix("0x").replace(":", "") if hexadecimal else text
    valid = _HEX.fullmatch(bare) if hexadecimal else (bare.isascii() and bare.isdecimal())
    if not valid or len(bare) > 3 * _LONGEST_SERIAL:
        form = "hex" if hexadecimal else "decimal"
        raise _bad("serialNumber", f"{text[:140]!r} is no serial number in {form}, as its hashes suggest")
    serial = int(bare, 16 if hexadecimal else 10)
    if serial.bit_length() > 8 * _LONGEST_SERIAL - 1:
        raise _bad("serialNumber", f"it has more than {_LONGEST_SERIAL} octets")
    return serial


def _url_key(encoding: Encoding) -> str:
    return "responder_url" if encoding == "ecog" else "responderURL"


def _bad(field: str, why: str) -> V2GPKIError:
    return V2GPKIError(
        "ocsp.bad_hash_data",
        f"{field}: {why}",
        hint="send OCSPRequestDataType: SHA256, SHA384 or SHA512, hashes and serial in hex",
        clause="OCPP 2.0.1 OCSPRequestDataType",
        facts={"field": field},
    )
