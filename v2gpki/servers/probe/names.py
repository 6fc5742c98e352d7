"""Names of TLS numbers (IANA TLS Parameters) that stations are asked for, and what each edition has of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

VERSIONS: Mapping[int, str] = {0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}

#: Suites of TLS 1.2 and before: those of ISO 15118-2 first, then what a station should not need.
SUITES_12: Mapping[int, str] = {
    0xC023: "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    0xC025: "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA256",
    0xC02B: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    0xC02C: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    0xC024: "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384",
    0xC026: "TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA384",
    0xC02D: "TLS_ECDH_ECDSA_WITH_AES_128_GCM_SHA256",
    0xC02E: "TLS_ECDH_ECDSA_WITH_AES_256_GCM_SHA384",
    0xC009: "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    0xC00A: "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    0xC0AC: "TLS_ECDHE_ECDSA_WITH_AES_128_CCM",
    0xC0AE: "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
    0xCCA9: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    0xC02F: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    0xC030: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    0xC027: "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    0xC013: "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    0xC014: "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    0x009C: "TLS_RSA_WITH_AES_128_GCM_SHA256",
    0x009D: "TLS_RSA_WITH_AES_256_GCM_SHA384",
    0x003C: "TLS_RSA_WITH_AES_128_CBC_SHA256",
    0x002F: "TLS_RSA_WITH_AES_128_CBC_SHA",
    0x0035: "TLS_RSA_WITH_AES_256_CBC_SHA",
}
SUITES_13: Mapping[int, str] = {
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
    0x1301: "TLS_AES_128_GCM_SHA256",
    0x1304: "TLS_AES_128_CCM_SHA256",
    0x1305: "TLS_AES_128_CCM_8_SHA256",
}
GROUPS: Mapping[int, str] = {25: "secp521r1", 30: "x448", 23: "secp256r1", 24: "secp384r1", 29: "x25519"}
SIGNATURES: Mapping[int, str] = {
    0x0403: "ecdsa_secp256r1_sha256",
    0x0603: "ecdsa_secp521r1_sha512",
    0x0808: "ed448",
    0x0503: "ecdsa_secp384r1_sha384",
    0x0807: "ed25519",
    0x0804: "rsa_pss_rsae_sha256",
    0x0805: "rsa_pss_rsae_sha384",
    0x0806: "rsa_pss_rsae_sha512",
    0x0401: "rsa_pkcs1_sha256",
    0x0501: "rsa_pkcs1_sha384",
    0x0601: "rsa_pkcs1_sha512",
    0x0203: "ecdsa_sha1",
    0x0201: "rsa_pkcs1_sha1",
}

#: What each edition has; all else is more than it asks for.
ISO2_SUITES = frozenset({0xC023, 0xC025})
ISO2_GROUPS = frozenset({23})
ISO20_SUITES = frozenset({0x1302, 0x1303})
ISO20_GROUPS = frozenset({25, 30})
ISO20_SIGNATURES = frozenset({0x0603, 0x0808})


def named(numbers: Iterable[int], names: Mapping[int, str]) -> list[str]:
    """Names in the given order, numbers in hexadecimal where there is none."""
    return [names.get(number, f"{number:#06x}") for number in numbers]
