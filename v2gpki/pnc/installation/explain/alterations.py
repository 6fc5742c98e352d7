"""What was changed in a signed message: which single bit, in which field, found from what the signature still says.

A digest that does not fit tells only that something is different. When that is one bit, as in tests and on bad
lines, trying every bit finds it, and the grammar says in which field it lies. For explanations only: nothing here makes
a message good. More than one changed bit is not looked for, and octets beyond a bound are not searched.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec
from v2gpki.pnc.algorithms import DIGESTS
from v2gpki.pnc.elements import SignedElement

#: Larger fragments than a message can have are not searched: each octet costs eight digests over all of them.
MOST_OCTETS = 12_000


@dataclass(frozen=True, slots=True)
class Alteration:
    """One flipped bit: in the field at `path`, in its `part` ("" where it has none), at `octet` (from 0) of the field
    and `bit` (7 is the highest). `before` is the field as it was signed. An `octet` below 0 says that the field has no
    octets of its own, such as an enumeration."""

    path: str
    part: str
    octet: int
    bit: int
    before: bytes = b""

    def __str__(self) -> str:
        place = f"{self.path}, {self.part}" if self.part else self.path
        if self.octet < 0:
            return f"{place} (it was {self.before.decode('utf-8', 'replace')})" if self.before else place
        return f"{place} (one bit: octet {self.octet}, bit {self.bit})"


def in_element(element: SignedElement, fragment: bytes, method: str, signed: bytes) -> Alteration | None:
    """The one bit of a signed element that must be flipped back for its fragment to have the digest that was signed."""
    if method not in DIGESTS or len(fragment) > MOST_OCTETS:
        return None
    digest = DIGESTS[method]
    position = next((p for p, octets in flips(fragment) if hmac.compare_digest(digest(bytes(octets)), signed)), None)
    if position is None:
        return None
    restored = bytearray(fragment)
    restored[position // 8] ^= 0x80 >> position % 8
    return _located(element, bytes(restored), position)


def in_value(value: bytes, holds: Callable[[bytes], bool]) -> Alteration | None:
    """The one bit of a SignatureValue that must be flipped back for it to hold."""
    position = next((p for p, octets in flips(value) if holds(bytes(octets))), None)
    if position is None:
        return None
    octet = position // 8
    half = "r" if octet < len(value) // 2 else "s"
    return Alteration("Signature/SignatureValue", half, octet, 7 - position % 8)


def flips(octets: bytes) -> Iterator[tuple[int, bytearray]]:
    """Every single-bit change of octets: the bit from the start, and the changed octets, good until the next."""
    changed = bytearray(octets)
    for octet in range(len(changed)):
        for bit in range(8):
            changed[octet] ^= 0x80 >> bit
            yield octet * 8 + bit, changed
            changed[octet] ^= 0x80 >> bit


def part_of(name: str, octets: bytes, offset: int) -> str:
    """Which part of a field an octet belongs to: IV, ciphertext and tag of a wrapped key, a certificate's fields."""
    if name == "ContractSignatureEncryptedPrivateKey":
        return "IV" if offset < 16 else "ciphertext"
    if name.endswith("_EncryptedPrivateKey") and name != "TPM_EncryptedPrivateKey":
        return "IV" if offset < 12 else "tag" if offset >= len(octets) - 16 else "ciphertext"
    if name in {"DHpublickey", "DHPublicKey"}:
        if len(octets) not in {65, 133}:
            return ""
        return "form" if offset == 0 else "X" if offset <= len(octets) // 2 else "Y"
    if name.startswith(("Certificate", "OEMProvisioningCert")):
        return _part_of_certificate(octets, offset)
    return ""


def _located(element: SignedElement, restored: bytes, position: int) -> Alteration:
    """The field that a bit of an element's fragment lies in."""
    for step in codec.trace(restored, element.schema, True).steps:
        start, end = step.value_position, step.value_position + step.value_bits
        if step.event not in {"AT", "CH"} or not start <= position < end:
            continue
        name = step.path.rpartition("/")[2]
        path = _joined(element.path, step.path)
        before = step.value if isinstance(step.value, bytes) else str(step.value).encode()
        content = end - 8 * len(before)
        if isinstance(step.value, bytes | str) and content >= start:
            if position < content:
                return Alteration(path, "length", -1, 0)
            octet, bit = divmod(position - content, 8)
            part = part_of(name, before, octet) if isinstance(step.value, bytes) else ""
            return Alteration(path, part, octet, 7 - bit, before)
        return Alteration(path, "", -1, 0, before)
    return Alteration(element.path, "structure", -1, 0)


def _joined(element: str, inside: str) -> str:
    """The path in the message of a path in one of its fragments, whose first step is the element itself."""
    below = inside.partition("/")[2]
    return f"{element}/{below}" if below else element


def _part_of_certificate(octets: bytes, offset: int) -> str:
    try:
        seen = view(octets)
    except V2GPKIError:
        return ""
    names = {
        "SubjectPublicKeyInfo": seen.spki,
        "SubjectKeyIdentifier": seen.key_identifier,
        "AuthorityKeyIdentifier": seen.authority_key_identifier,
        "signature": seen.x509.signature,
        "subject": seen.subject,
        "issuer": seen.issuer,
        "serial number": seen.serial.to_bytes((seen.serial.bit_length() + 7) // 8 or 1, "big"),
    }
    for name, content in names.items():
        start = octets.find(content) if len(content) > 3 else -1
        if start >= 0 and start <= offset < start + len(content):
            return name
    return ""
