"""Identifiers without inner structure: CPID, host name and free text.

CPID, the charge point id that ISO 15118-2 names as common name of the SECC leaf, has no published
form; we take OCPP's ``identifierString`` (letters, digits and ``* - _ = : + | @ .``), 1 to 64 characters
(OCPP 2.0.1 allows 48, a common name 64), kept as written. ``text`` is 1 to 64 printable ASCII
characters without a space at either end, for names that belong to people. ``hostname`` is what a TLS client
looks a server up by: labels of letters, digits and inner hyphens, small letters in normal form.
Sources: [V2G2-010] table F.2, OCPP 2.0.1 part 2 section 2.2, RFC 5280 A.1 ub-common-name, RFC 1123 2.1.
"""

from __future__ import annotations

import re

from v2gpki.identifiers.model import Identifier, refusal

CPID_CLAUSE = "OCPP 2.0.1 identifierString; RFC 5280 A.1 ub-common-name"
TEXT_CLAUSE = "RFC 5280 A.1 ub-common-name"
HOSTNAME_CLAUSE = "RFC 1123 2.1; RFC 5280 4.2.1.6, A.1 ub-common-name"
CPID_MARKS = "*-_=:+|@."
CPID_FORM = f"1 to 64 letters, digits and {' '.join(CPID_MARKS)}"
HOSTNAME_FORM = "a host name of at most 64 characters: labels of letters, digits and inner hyphens, joined by dots"
TEXT_FORM = "1 to 64 printable ASCII characters without a space at either end"

_CPID = re.compile(r"[0-9A-Za-z*\-_=:+|@.]{1,64}")
_LABEL = r"[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
_HOSTNAME = re.compile(rf"(?=.{{1,64}}\Z){_LABEL}(?:\.{_LABEL})*")
_TEXT = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,62}[\x21-\x7e])?")
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


def parse_cpid(text: str) -> Identifier:
    """Read a charge point id; raises ``identifier.invalid``. Parts: key."""
    if _CPID.fullmatch(text) is None:
        raise refusal("cpid", text, CPID_FORM, clause=CPID_CLAUSE, separators=CPID_MARKS)
    return Identifier("cpid", text, text, (), {"key": text.upper()})


def parse_hostname(text: str) -> Identifier:
    """Read a host name; raises ``identifier.invalid``. Parts: key."""
    if _HOSTNAME.fullmatch(text) is None:
        raise refusal("hostname", text, HOSTNAME_FORM, clause=HOSTNAME_CLAUSE, separators="-.")
    normal = text.lower()
    return Identifier("hostname", text, normal, (), {"key": normal})


def parse_text(text: str) -> Identifier:
    """Read a free name; raises ``identifier.invalid``. Parts: key."""
    if _TEXT.fullmatch(text) is None:
        raise refusal("text", text, TEXT_FORM, clause=TEXT_CLAUSE, separators=_PRINTABLE)
    return Identifier("text", text, text, (), {"key": text})
