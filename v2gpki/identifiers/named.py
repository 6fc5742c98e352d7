"""Identifiers without inner structure: CPID, host name and free text.

CPID, the charge point id that ISO 15118-2 names as common name of the SECC leaf, has no published
form; we take OCPP's ``identifierString`` (letters, digits and ``* - _ = : + | @ .``), 1 to 64 characters
(OCPP 2.0.1 allows 48, a common name 64), kept as written. ``text`` is 1 to 64 printable ASCII
characters without a space at either end, for names that belong to people. ``hostname`` is what a TLS client
looks a server up by: labels of letters, digits and inner hyphens, small letters in normal form, the last one no number
(that would be an address). ``address`` is an IPv4 address with dots or an IPv6 one, without a zone, as RFC 5952 has it.
Sources: [V2G2-010] table F.2, OCPP 2.0.1 part 2 section 2.2, RFC 5280 A.1 ub-common-name, RFC 1123 2.1, RFC 5952 4.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from v2gpki.identifiers.model import Identifier, refusal

CPID_CLAUSE = "OCPP 2.0.1 identifierString; RFC 5280 A.1 ub-common-name"
TEXT_CLAUSE = "RFC 5280 A.1 ub-common-name"
HOSTNAME_CLAUSE = "RFC 1123 2.1; RFC 5280 4.2.1.6, A.1 ub-common-name"
CPID_MARKS = "*-_=:+|@."
CPID_FORM = f"1 to 64 letters, digits and {' '.join(CPID_MARKS)}"
ADDRESS_CLAUSE = "RFC 1123 2.1; RFC 4291 2.2; RFC 5952 4"
HOSTNAME_FORM = "a host name of at most 64 characters: labels of letters, digits and inner hyphens, joined by dots"
ADDRESS_FORM = "an IPv4 address such as 192.0.2.1, or an IPv6 address such as 2001:db8::1"
TEXT_FORM = "1 to 64 printable ASCII characters without a space at either end"

_CPID = re.compile(r"[0-9A-Za-z*\-_=:+|@.]{1,64}")
_LABEL = r"[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
_HOSTNAME = re.compile(rf"(?=.{{1,64}}\Z){_LABEL}(?:\.{_LABEL})*")
_NUMBER_LAST = re.compile(r"(?:.*\.)?[0-9]+")
_ADDRESS = re.compile(r"[0-9.]{7,15}|[0-9A-Fa-f:.]{2,45}")
_TEXT = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,62}[\x21-\x7e])?")
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


def parse_cpid(text: str) -> Identifier:
    """Read a charge point id; raises ``identifier.invalid``. Parts: key."""
    if _CPID.fullmatch(text) is None:
        raise refusal("cpid", text, CPID_FORM, clause=CPID_CLAUSE, separators=CPID_MARKS)
    return Identifier("cpid", text, text, (), {"key": text.upper()})


def parse_hostname(text: str) -> Identifier:
    """Read a host name; raises ``identifier.invalid``. Parts: key."""
    if _HOSTNAME.fullmatch(text) is None or _NUMBER_LAST.fullmatch(text):
        raise refusal("hostname", text, HOSTNAME_FORM, clause=HOSTNAME_CLAUSE, separators="-.")
    normal = text.lower()
    return Identifier("hostname", text, normal, (), {"key": normal})


def parse_address(text: str) -> Identifier:
    """Read an IP address; raises ``identifier.invalid``. Parts: key."""
    try:
        if _ADDRESS.fullmatch(text) is None:
            raise ValueError(text)
        normal = ip_address(text).compressed
    except ValueError:
        raise refusal("address", text, ADDRESS_FORM, clause=ADDRESS_CLAUSE, separators=".:") from None
    return Identifier("address", text, normal, (), {"key": normal})


def address_octets(text: str) -> bytes | None:
    """The 4 or 16 octets of an IP address as iPAddress has them (RFC 5280 4.2.1.6); None for any other text."""
    if not (text[-1:].isdigit() or ":" in text):
        return None
    try:
        return ip_address(text).packed
    except ValueError:
        return None


def parse_text(text: str) -> Identifier:
    """Read a free name; raises ``identifier.invalid``. Parts: key."""
    if _TEXT.fullmatch(text) is None:
        raise refusal("text", text, TEXT_FORM, clause=TEXT_CLAUSE, separators=_PRINTABLE)
    return Identifier("text", text, text, (), {"key": text})
