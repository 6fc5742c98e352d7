"""What each edition prescribes for TLS: versions, suites, groups and signature algorithms, as numbers and names.

`lab-ecog-20` is TLS 1.3 with client certificates as ISO 15118-20 has it, but on P-256, for chains that do not conform.
Numbers: IANA TLS parameters. Clauses: [V2G20-1264], [V2G20-1856], [V2G20-2458], [V2G20-1634], [V2G20-1637];
ISO 15118-2 7.7.3, of whose two suites the TLS library has one (`capabilities`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from v2gpki.session.secured import TLSVersion

Edition = Literal["iso15118-2", "iso15118-20", "lab-ecog-20"]

VERSION_NUMBERS: Mapping[TLSVersion, int] = {"1.2": 0x0303, "1.3": 0x0304}


@dataclass(frozen=True, slots=True)
class Rules:
    """One edition's TLS. Keys are IANA numbers, values what OpenSSL calls them, in the order of preference.

    ``schemes`` says which signature algorithm a leaf key of a suite (``keys.suites``) signs handshakes with.
    """

    version: TLSVersion
    mutual: bool
    suites: Mapping[int, str]
    groups: Mapping[int, str]
    signatures: Mapping[int, str]
    schemes: Mapping[str, int]
    clause: str


_P256, _P521, _ED448 = 0x0403, 0x0603, 0x0808
_SUITES_20 = {0x1302: "TLS_AES_256_GCM_SHA384", 0x1303: "TLS_CHACHA20_POLY1305_SHA256"}

#: In the order in which a station prefers them.
RULES: Mapping[Edition, Rules] = {
    "iso15118-20": Rules(
        "1.3",
        True,
        _SUITES_20,
        {25: "P-521", 30: "X448"},
        {_P521: "ecdsa_secp521r1_sha512", _ED448: "ed448"},
        {"p521": _P521, "ed448": _ED448},
        "[V2G20-1264], [V2G20-2400]",
    ),
    "lab-ecog-20": Rules(
        "1.3",
        True,
        _SUITES_20,
        {23: "P-256"},
        {_P256: "ecdsa_secp256r1_sha256"},
        {"p256": _P256},
        "[V2G20-1264], [V2G20-2400]",
    ),
    "iso15118-2": Rules(
        "1.2",
        False,
        {0xC023: "ECDHE-ECDSA-AES128-SHA256"},
        {23: "P-256"},
        {_P256: "ecdsa_secp256r1_sha256"},
        {"p256": _P256},
        "ISO 15118-2 7.7.3",
    ),
}

#: What OpenSSL calls a negotiated suite, and its IANA name.
IANA_SUITES = {
    "ECDHE-ECDSA-AES128-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
}
#: What OpenSSL calls a negotiated group, and its name in TLS.
IANA_GROUPS = {"prime256v1": "secp256r1", "P-256": "secp256r1", "P-521": "secp521r1", "X448": "x448"}
