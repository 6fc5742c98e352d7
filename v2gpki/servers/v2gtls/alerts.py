"""TLS alerts: which one tells a refusal to the other end, and which error one from there becomes.

Clauses: RFC 8446 6 and 6.2, RFC 5246 7.2, RFC 6066 8.
"""

from __future__ import annotations

from collections.abc import Mapping

from v2gpki.errors import V2GPKIError

#: Names by number (IANA TLS Alerts).
NAMES: Mapping[int, str] = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    114: "bad_certificate_hash_value",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}
_NUMBERS = {name: number for number, name in NAMES.items()}

#: What a refused chain is told to its owner, by code, else by its room.
_BY_CODE: Mapping[str, str] = {
    "chain.": "bad_certificate",
    "ocsp.": "bad_certificate_status_response",
    "path.": "bad_certificate",
    "path.broken": "unknown_ca",
    "path.expired": "certificate_expired",
    "path.issuer_expired": "certificate_expired",
    "path.no_anchor": "unknown_ca",
    "path.not_yet_valid": "certificate_expired",
    "path.revoked": "certificate_revoked",
    "path.status_unknown": "bad_certificate_status_response",
    # The certificate is sound and for another use.
    "role.": "unsupported_certificate",
    "role.wrong_anchor": "unknown_ca",
    "tls.no_certificate": "certificate_required",
    "tls.no_staple": "bad_certificate_status_response",
}

_HINTS: Mapping[str, str] = {
    "unknown_ca": "the other end does not have the root of this chain, or a sub-CA is missing in it",
    "certificate_expired": "renew the certificate, or check the other end's clock",
    "certificate_revoked": "use another certificate",
    "certificate_required": "ISO 15118-20 needs a vehicle certificate: give one with its key",
    "bad_certificate_status_response": "the station must staple a current OCSP response for its leaf",
    "unsupported_certificate": "the certificate is for another use: a station needs DC=CPO",
    "handshake_failure": "no suite, group or signature algorithm in common, or a refusal without a reason",
    "protocol_version": "the other end speaks another TLS version: ISO 15118-2 has 1.2, ISO 15118-20 has 1.3",
}


def name(number: int) -> str:
    """The alert's name, ``alert_<number>`` for one that nobody registered."""
    return NAMES.get(number, f"alert_{number}")


def alert_for(problem: V2GPKIError) -> str:
    """The alert that tells this refusal of a chain."""
    room = problem.code.partition(".")[0] + "."
    return _BY_CODE.get(problem.code) or _BY_CODE.get(room, "certificate_unknown")


def record(alert: str) -> bytes:
    """A fatal alert as a record of its own, for before there are keys."""
    return bytes((21, 3, 3, 0, 2, 2, _NUMBERS[alert]))


def received(number: int, peer: str) -> V2GPKIError:
    """The error that a fatal alert of the other end becomes."""
    found = name(number)
    return V2GPKIError(
        "tls.alert",
        f"{peer} ended TLS with the alert {found}",
        hint=_HINTS.get(found, ""),
        clause="RFC 8446 6.2",
        facts={"alert": found, "number": number, "peer": peer},
    )
